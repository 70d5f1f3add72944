package awsapi

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// constraint is values on both sides of what a shape allows.
type constraint struct {
	inside  []any // the first is used wherever a request needs some value
	outside []any
	strict  []any // outside of AWS's limits only: refused on request
}

// all never returns nil, which would be null in a request.
func all(values ...any) []any { return append([]any{}, values...) }

func long(n int) string { return strings.Repeat("x", n) }

func times(n int, s string) []string { return slices.Repeat([]string{s}, n) }

const lattice = "arn:aws:vpc-lattice:us-east-1:123456789012:resourceconfiguration/rcfg-0123456789abcdefg"

// constraints has a row for each shape: the boundaries of AWS's model, one value inside and one outside of each.
var constraints = map[string]constraint{
	"ConnectorId": {
		inside:  all("c-0123456789abcdef0"),
		outside: all("", long(256), 7, all()),
		strict:  all("acme", "c-0123456789abcdef", "c-0123456789abcdef01", "c-0123456789ABCDEF0", "s-0123456789abcdef0", "x c-0123456789abcdef0"),
	},
	"TransferId": {
		inside:  all("a1b2c3d4-5678-90ab-cdef-EXAMPLE11111", "x", "T/F.1", long(512)),
		outside: all("", long(513), "a b", "a_b", "é"),
	},
	"FilePath": {
		inside:  all("/bucket/a.csv", "x", "bucket/ü b\t.csv", long(1024), strings.Repeat("é", 1024)),
		outside: all("", long(1025), "a\nb", "a\rb", "a\u2028b", "a\u0085b", 1, true),
	},
	"FilePaths": {
		inside:  all(times(1, "/a"), times(10, "/a")),
		outside: all(all(), all(""), all("/a", "b\nc"), times(2, long(1025)), "/a", all(1), map[string]any{}),
		strict:  all(times(11, "/a"), times(1000, "/a")),
	},
	"CustomHttpHeaders":   {inside: all(all()), outside: all("x")},
	"CustomHttpHeaderKey": {inside: all("X-Trace-1", "k", long(64)), outside: all("", long(65), "a b", "a_b", "a:b")},
	"CustomHttpHeaderVal": {inside: all("Az09 +-./:=@_", "", long(256)), outside: all(long(257), "a,b", "a\nb", "é")},
	"NextToken":           {inside: all("t", long(6144)), outside: all("", long(6145))},
	"MaxResults":          {inside: all(1, 1000), outside: all(0, 1001, -1, "1", 1.5, 1<<40)},

	"Url":  {inside: all("sftp://partner.example", "", long(255)), outside: all(long(256))},
	"Role": {inside: all("arn:aws:iam::123456789012:role/transfer", "arn:23456789012:role/x", "arn:role/"+long(2039)), outside: all("", "arn:aws:role/12345", "arn:role/"+long(2040), "arn:aws:iam::123456789012:user/transfer", "arn:aws:iam::123456789012:role/a b", "x arn:aws:iam::123456789012:role/a")},
	"SecurityPolicyName": {
		inside:  all("TransferSFTPConnectorSecurityPolicy-2024-03", "", "TransferSFTPConnectorSecurityPolicy-"+long(64)),
		outside: all("TransferSFTPConnectorSecurityPolicy-"+long(65), "TransferSecurityPolicy-2024-01", "TransferSFTPConnectorSecurityPolicy-a_b"),
	},
	"IpAddressType": {inside: all("IPV4", "DUALSTACK"), outside: all("", "IPV6", "ipv4")},
	"Tags":          {inside: all(newTags(1), newTags(50)), outside: all(all(), newTags(51), all(map[string]any{"Key": "k"}), all(map[string]any{"Value": "v"}))},
	"TagKey":        {inside: all("k", "", long(128)), outside: all(long(129))},
	"TagValue":      {inside: all("v", "", long(256)), outside: all(long(257))},

	"SftpConfig":      {inside: all(map[string]any{"UserSecretId": "acme"}), outside: all("x", all())},
	"SecretId":        {inside: all("acme", "x", long(2048)), outside: all("", long(2049))},
	"TrustedHostKeys": {inside: all(times(1, "ssh-rsa AAAA"), all(), times(10, long(2048))), outside: all(times(11, "k"), all(""), all(long(2049)))},
	"MaxConnections":  {inside: all(1, 5), outside: all(0, -1), strict: all(6)},

	"As2Config":           {inside: all(map[string]any{}), outside: all("x")},
	"ProfileId":           {inside: all("p-0123456789abcdef0"), outside: all("", "p-0123456789abcdef", "p-0123456789abcdef01", "c-0123456789abcdef0", "p-0123456789ABCDEF0")},
	"MessageSubject":      {inside: all("Invoices ~\tof May", "x", long(1024)), outside: all("", long(1025), "a\nb", "é")},
	"Compression":         {inside: all("ZLIB", "DISABLED"), outside: all("", "GZIP")},
	"EncryptionAlgorithm": {inside: all("AES128_CBC", "AES192_CBC", "AES256_CBC", "DES_EDE3_CBC", "NONE"), outside: all("", "AES128_GCM")},
	"SigningAlgorithm":    {inside: all("SHA256", "SHA384", "SHA512", "SHA1", "NONE"), outside: all("", "DEFAULT")},
	"MdnSigningAlgorithm": {inside: all("SHA256", "SHA384", "SHA512", "SHA1", "NONE", "DEFAULT"), outside: all("", "MD5")},
	"MdnResponse":         {inside: all("SYNC", "NONE", "ASYNC"), outside: all("", "sync")},
	"As2SecretId":         {inside: all("acme", "", long(2048)), outside: all(long(2049))},
	"PreserveContentType": {inside: all("ENABLED", "DISABLED"), outside: all("", "true")},
	"AsyncMdnConfig":      {inside: all(map[string]any{}), outside: all("x")},
	"ServerIds":           {inside: all(times(1, "s-0123456789abcdef0"), times(10, "s-0123456789abcdef0")), outside: all(all(), times(11, "s-0123456789abcdef0"), all("s-0123456789abcdef"), all("p-0123456789abcdef0"))},

	"EgressConfig": {inside: all(map[string]any{}), outside: all("x")},
	"VpcLattice":   {inside: all(map[string]any{}), outside: all("x")},
	"LatticeArn":   {inside: all(lattice), outside: all("", lattice+"h", strings.Replace(lattice, "123", "12", 1), "arn:aws:vpc-lattice:"+long(2048))},
	"PortNumber":   {inside: all(1, 22, 65535), outside: all(0, 65536)},
	"MaxItems":     {inside: all(1, 1000, 200_000), outside: all(0, 200_001)},
}

func newTags(n int) (tags []any) {
	for range n {
		tags = append(tags, map[string]any{"Key": "k", "Value": "v"})
	}
	return tags
}

// place is a member of a request: the way to it, and its shape.
type place struct {
	keys  []string
	shape string
}

// places are all members of a wire type, those of its parts too.
func places(t reflect.Type, above []string) (found []place) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name, _ := strings.CutSuffix(f.Tag.Get("shape"), ",required")
		keys := append(slices.Clip(above), key)
		found = append(found, place{keys, name})
		if part := f.Type.Elem(); part.Kind() == reflect.Struct {
			found = append(found, places(part, keys)...)
		}
	}
	return found
}

// request is a body of a wire type with its required members, and with value at keys.
func request(t reflect.Type, keys []string, value any) map[string]any {
	body := make(map[string]any)
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name, required := strings.CutSuffix(f.Tag.Get("shape"), ",required")
		switch {
		case len(keys) > 0 && key == keys[0] && len(keys) == 1:
			body[key] = value
		case len(keys) > 0 && key == keys[0] && f.Type.Kind() == reflect.Slice:
			body[key] = all(request(f.Type.Elem(), keys[1:], value))
		case len(keys) > 0 && key == keys[0]:
			body[key] = request(f.Type.Elem(), keys[1:], value)
		case required:
			body[key] = constraints[name].inside[0]
		}
	}
	return body
}

// TestConstraints tries every member of every operation with the values of its shape.
func TestConstraints(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		op := operations[name]
		of := reflect.TypeOf(op.newRequest()).Elem()
		for _, p := range places(of, nil) {
			used[p.shape] = true
			row, ok := constraints[p.shape]
			require.True(t, ok, "%s has no values", p.shape)
			at := name + "." + strings.Join(p.keys, ".")
			for _, v := range row.inside {
				require.NoError(t, parseValue(t, op, of, p, v, true), "%s: %.40v is inside", at, v)
				require.NoError(t, parseValue(t, op, of, p, v, false), "%s: %.40v is inside", at, v)
			}
			for _, v := range row.outside {
				requireRefused(t, p, parseValue(t, op, of, p, v, true), "%s: %.40v is outside", at, v)
				requireRefused(t, p, parseValue(t, op, of, p, v, false), "%s: %.40v is outside", at, v)
			}
			for _, v := range row.strict {
				requireRefused(t, p, parseValue(t, op, of, p, v, true), "%s: %.40v is outside of AWS's limits", at, v)
				require.NoError(t, parseValue(t, op, of, p, v, false), "%s: %.40v is allowed", at, v)
			}
		}
	}
	for name := range constraints {
		require.True(t, used[name], "no member has the shape %s", name)
	}
	for name := range shapes {
		require.True(t, used[name] || name == "HostKey" || name == "ServerId", "no member has the shape %s", name)
	}
}

func parseValue(t *testing.T, op operation, of reflect.Type, p place, value any, strict bool) error {
	t.Helper()
	body, err := json.Marshal(request(of, p.keys, value))
	require.NoError(t, err)
	_, err = op.parse(body, strict)
	return err
}

// requireRefused: what is refused is named, and what is sensitive is not repeated.
func requireRefused(t *testing.T, p place, err error, args ...any) {
	t.Helper()
	require.Error(t, err, args...)
	var invalid *transfer.InvalidRequestException
	if !errors.As(err, &invalid) { // of the wrong type
		require.ErrorContains(t, err, "SerializationException", args...)
		return
	}
	key := p.keys[len(p.keys)-1]
	require.Contains(t, invalid.Message, strings.ToLower(key[:1])+key[1:], args...)
	if shapes[p.shape].sensitive {
		require.Contains(t, invalid.Message, "Value at '", args...)
	}
}

// TestRequiredMembers leaves out each member that is required.
func TestRequiredMembers(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"StartFileTransfer": {"ConnectorId"}, "ListFileTransferResults": {"ConnectorId", "TransferId"},
		"StartDirectoryListing": {"ConnectorId", "RemoteDirectoryPath", "OutputDirectoryPath"},
		"StartRemoteDelete":     {"ConnectorId", "DeletePath"}, "StartRemoteMove": {"ConnectorId", "SourcePath", "TargetPath"},
		"CreateConnector": {"AccessRole"}, "UpdateConnector": {"ConnectorId"}, "DescribeConnector": {"ConnectorId"},
		"ListConnectors": nil, "DeleteConnector": {"ConnectorId"}, "TestConnection": {"ConnectorId"},
	}
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(operations)))
	for name, required := range want {
		op := operations[name]
		whole := request(reflect.TypeOf(op.newRequest()).Elem(), nil, nil)
		require.ElementsMatch(t, required, slices.Collect(maps.Keys(whole)), name)
		for _, key := range required {
			part := maps.Clone(whole)
			delete(part, key)
			body, err := json.Marshal(part)
			require.NoError(t, err)
			_, err = op.parse(body, false)
			require.EqualError(t, err, "InvalidRequestException: 1 validation error detected: Value null at '"+strings.ToLower(key[:1])+key[1:]+"' failed to satisfy constraint: Member must not be null")
		}
	}
}
