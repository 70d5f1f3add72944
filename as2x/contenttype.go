package as2x

import (
	"mime"
	"path"
	"strings"
)

const (
	octetStream   = "application/octet-stream"
	s3OctetStream = "binary/octet-stream" // what S3 says of an object of no type
)

// ediTypes are of files whose types systems do not know (RFC 1767).
var ediTypes = map[string]string{
	".edi": "application/edi-x12", ".x12": "application/edi-x12", ".edifact": "application/edifact",
	".xml": "application/xml", ".json": "application/json", ".pdf": "application/pdf",
	".zip": "application/zip", ".gz": "application/gzip",
}

// contentType is the type that the file is sent with. Without PreserveContentType it is none of text/…: some receivers
// change the line ends of text.
func (s *sink) contentType() string {
	given := s.o.Origin.ContentType
	if s.c.cfg.PreserveContentType && given != "" && given != s3OctetStream && quotable(given) {
		if kind, _, err := mime.ParseMediaType(given); err == nil && strings.Contains(kind, "/") && !strings.HasPrefix(kind, "multipart/") {
			return given
		}
	}
	if kind, ok := ediTypes[strings.ToLower(path.Ext(s.path))]; ok {
		return kind
	}
	return octetStream
}
