package awsapi

import "regexp"

// shape is what AWS's model says about a member: the length of a text in characters, of a list in members, or the bounds
// of a number.
type shape struct {
	min, max  int
	pattern   string         // as published, for messages; empty: none
	matches   *regexp.Regexp // the whole text
	member    string         // of a list: the shape of its members
	values    []string       // of an enumeration
	sensitive bool           // its value is not repeated in messages
	lax       *shape         // what holds instead where AWS's limit was not asked for (Config.Strict)
}

// unlimited is the upper bound of what AWS does not bound.
const unlimited = 1 << 30

// patterned is a text that matches a published pattern.
func patterned(shortest, longest int, pattern string) shape {
	return shape{min: shortest, max: longest, pattern: pattern, matches: regexp.MustCompile(`^(?:` + pattern + `)$`)}
}

// line is a text without line breaks: AWS's (.)+, in which a dot is what it is in Java.
func line(shortest, longest int) shape {
	return shape{min: shortest, max: longest, pattern: "(.)+", matches: regexp.MustCompile(`^[^\n\r\x{85}\x{2028}\x{2029}]+$`)}
}

func text(shortest, longest int) shape { return shape{min: shortest, max: longest} }

func number(least, most int) shape { return shape{min: least, max: most} }

func list(fewest, most int, member string) shape {
	return shape{min: fewest, max: most, member: member}
}

func enum(values ...string) shape { return shape{max: unlimited, values: values} }

// relaxed is s for those who asked for AWS's limits, and lax for others.
func (s shape) relaxed(lax shape) shape {
	s.lax = &lax
	return s
}

func (s shape) secret() shape {
	s.sensitive = true
	return s
}

// shapes are AWS's (service model of Transfer Family, version 2018-11-05), under their names or those of their members.
// Ids of connectors that were given in transfer.Config, and longer lists of paths, need no AWS account to be useful:
// they are refused only on request.
var shapes = map[string]shape{
	"ConnectorId":         patterned(19, 19, `c-([0-9a-f]{17})`).relaxed(text(1, 255)),
	"TransferId":          patterned(1, 512, `[0-9a-zA-Z./-]+`),
	"FilePath":            line(1, 1024),
	"FilePaths":           list(1, 10, "FilePath").relaxed(list(1, unlimited, "FilePath")),
	"CustomHttpHeaders":   list(0, unlimited, ""),
	"CustomHttpHeaderKey": patterned(1, 64, `[a-zA-Z0-9-]+`).secret(),
	"CustomHttpHeaderVal": patterned(0, 256, `[a-zA-Z0-9 +\-./:=@_]*`).secret(),
	"NextToken":           text(1, 6144),
	"MaxResults":          number(1, 1000),

	"Url":                 text(0, 255),
	"Role":                patterned(20, 2048, `arn:.*role/\S+`),
	"SecurityPolicyName":  patterned(0, 100, `TransferSFTPConnectorSecurityPolicy-[A-Za-z0-9-]+`),
	"IpAddressType":       enum("IPV4", "DUALSTACK"),
	"Tags":                list(1, 50, ""),
	"TagKey":              text(0, 128),
	"TagValue":            text(0, 256),
	"SecretId":            text(1, 2048),
	"HostKey":             text(1, 2048),
	"TrustedHostKeys":     list(0, 10, "HostKey"),
	"MaxConnections":      number(1, 5).relaxed(number(1, unlimited)),
	"LatticeArn":          patterned(1, 2048, `arn:[a-z0-9\-]+:vpc-lattice:[a-zA-Z0-9\-]+:\d{12}:resourceconfiguration/rcfg-[0-9a-z]{17}`),
	"PortNumber":          number(1, 65535),
	"MaxItems":            number(1, 200_000),
	"ProfileId":           patterned(19, 19, `p-([0-9a-f]{17})`),
	"ServerId":            patterned(19, 19, `s-([0-9a-f]{17})`),
	"ServerIds":           list(1, 10, "ServerId"),
	"MessageSubject":      patterned(1, 1024, "[ -~\t]+").secret(),
	"As2SecretId":         text(0, 2048),
	"Compression":         enum("ZLIB", "DISABLED"),
	"EncryptionAlgorithm": enum("AES128_CBC", "AES192_CBC", "AES256_CBC", "DES_EDE3_CBC", "NONE"),
	"SigningAlgorithm":    enum("SHA256", "SHA384", "SHA512", "SHA1", "NONE"),
	"MdnSigningAlgorithm": enum("SHA256", "SHA384", "SHA512", "SHA1", "NONE", "DEFAULT"),
	"MdnResponse":         enum("SYNC", "NONE", "ASYNC"),
	"PreserveContentType": enum("ENABLED", "DISABLED"),
}
