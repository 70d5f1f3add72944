package waarpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

func TestNewHandlerNamesEveryWrongField(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{})
	require.NoError(t, err)
	someone := waarpapi.StaticUsers{"u": {Password: "p"}}
	for name, test := range map[string]struct {
		cfg  configuration
		want []string
	}{
		"nothing":          {configuration{}, []string{"Users is nil (give StaticUsers, or set NoAuthentication to let everybody in)"}},
		"both":             {configuration{Users: someone, NoAuthentication: true}, []string{"NoAuthentication is set beside Users (give one of them)"}},
		"nothing to check": {configuration{NoAuthentication: true, Key: []byte(key)}, []string{"NoAuthentication is set beside Key or RequireSignature (nothing would be checked: leave them out)"}},
		"no users":         {configuration{Users: waarpapi.StaticUsers{}}, []string{"Users has no user (give one)"}},
		"short key":        {configuration{Users: someone, Key: []byte("short")}, []string{"Key has 5 bytes (use 16 or more, at random)"}},
		"no key":           {configuration{Users: someone, RequireSignature: true}, []string{"RequireSignature is set without Key (give the key that clients sign with)"}},
		"no user's name":   {configuration{Users: waarpapi.StaticUsers{"": {Password: "p"}}}, []string{"Users has an empty name (give it one)"}},
		"users' own": {
			configuration{Users: waarpapi.StaticUsers{
				"a": {}, "b": {Password: "p", PasswordHash: hash}, "c": {PasswordHash: "secret"}, "d": {Password: "p", Roles: 8},
				"e": {PasswordHash: "$2a$17$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijklm"},
			}},
			[]string{
				`Users["a"] has no password (give Password or PasswordHash)`, `Users["b"] has both Password and PasswordHash (give one of them)`,
				`Users["c"] has a PasswordHash that is none of bcrypt's (make one with htpasswd -nB)`,
				`Users["d"] has roles that are not known (0x8; use RoleRead, RoleTransfer and RoleControl)`,
				`Users["e"] has a PasswordHash of cost 17 (use 16 at most)`,
			},
		},
		"rules": {
			configuration{NoAuthentication: true, Rules: map[string]waarpapi.Rule{
				"":  {Direction: waarpapi.Send},
				"a": {}, "b": {Direction: waarpapi.Retrieve}, "c": {Direction: waarpapi.Send, LocalDirectory: "/a/../b", RemoteDirectory: "..", Overwrite: "x", Verify: "y"},
			}},
			[]string{
				`Rules has the name "" (use 1 to 255 bytes)`, `Rules["a"].Direction is 0 (use Send or Retrieve)`,
				`Rules["b"].LocalDirectory is empty (say where retrieved files go)`, `Rules["c"] has the directory "/a/../b" (use one without ..)`,
				`Rules["c"] has the directory ".." (use one without ..)`, `Rules["c"].Overwrite is "x" (use REPLACE, FAIL or SKIP)`, `Rules["c"].Verify is "y" (use SIZE or READ_BACK)`,
			},
		},
		"numbers": {
			configuration{NoAuthentication: true, ClockSkew: -2, MaxResults: -2, MaxBodyBytes: -1, MaxHeaderBytes: -1, MaxRequests: -1, Timeout: -1},
			[]string{
				"ClockSkew is -2ns (use more than 0, 0 for 5m0s, -1 for none)", "MaxResults is -2 (use 1 or more, 0 for 1000, -1 for no limit)",
				"MaxBodyBytes is -1 (use 1 or more, or 0 for 65536)", "MaxHeaderBytes is -1 (use 1 or more, or 0 for 16384)",
				"MaxRequests is -1 (use 1 or more, or 0 for 64)", "Timeout is -1ns (use more than 0, or 0 for 30s)",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := waarpapi.NewHandler(client, test.cfg)
			require.EqualError(t, err, "waarpapi: Config."+strings.Join(test.want, "\nwaarpapi: Config."))
			require.NotContains(t, err.Error(), "secret")
		})
	}
	_, err = waarpapi.NewHandler(nil, configuration{NoAuthentication: true})
	require.EqualError(t, err, "waarpapi: client is nil (make one with transfer.New)")
}

// TestConfigIsCopied changes what was given afterwards.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	var given configuration
	b := setup(t, users, func(c *configuration) { given = *c })
	given.Key[0]++
	delete(given.Rules, "out")
	delete(given.Users.(waarpapi.StaticUsers), "hosta")
	b.do("POST", "/v2/transfers", startBody, basicOfHosta, "X-Auth-Signature: "+signatureOfBasic).is(201)
}

func TestRolesPrintTheirNames(t *testing.T) {
	t.Parallel()
	for roles, want := range map[waarpapi.Role]string{0: "NOACCESS", 1: "READ", 6: "TRANSFER|CONTROL", 7: "READ|TRANSFER|CONTROL"} {
		require.Equal(t, want, roles.String())
	}
}
