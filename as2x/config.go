package as2x

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Config describes how files are sent to one partner: every value of AWS's As2ConnectorConfig, and more. URL, Local,
// Partner and what the algorithms need of certificates are required.
type Config struct {
	// URL is the partner's AS2 server, http or https.
	URL string
	// Local is our side, Partner the other one.
	Local   Local
	Partner Partner

	// MessageSubject is the Subject of messages (AWS: up to 1,024 printable ASCII characters). Default: the file's name.
	MessageSubject string
	// Compression, EncryptionAlgorithm, SigningAlgorithm, MDNSigningAlgorithm and MDNResponse are AWS's; see their values
	// for the defaults. MDNSigningAlgorithm SigningNone asks for an unsigned MDN.
	Compression         Compression
	EncryptionAlgorithm EncryptionAlgorithm
	SigningAlgorithm    SigningAlgorithm
	MDNSigningAlgorithm SigningAlgorithm
	MDNResponse         MDNResponse
	// AsyncMDNURL is where the partner sends asynchronous MDNs: the URL of a Receiver. Required with MDNAsync (AWS:
	// AsyncMdnConfig.Url, up to 255 characters).
	AsyncMDNURL string
	// PreserveContentType sends the type that the storage keeps with the file, where it keeps one. Otherwise, and by
	// default, the type follows from the file's extension; what is not known is application/octet-stream.
	PreserveContentType bool
	// BasicAuth returns user and password for the partner's server (AWS: BasicAuthSecretId), asked for each message. It
	// needs https. Nil means none.
	BasicAuth func(ctx context.Context) (user, password string, err error)

	// The fields below are not AWS's.

	// Results is where the result files go, beside the file that was sent: usually the Storage of the Client. Nil writes
	// none.
	Results transfer.Storage
	// Records are shared with the Receiver that gets asynchronous MDNs. Required with MDNAsync.
	Records *Records
	// MDNTimeout is how long an asynchronous MDN may take, from when the partner's server took the message. Then the file
	// fails with MDN_TIMEOUT. Default 24 h.
	MDNTimeout time.Duration
	// MDNPoll is how often Records are asked for an asynchronous MDN. A Receiver with a Client does not wait for that.
	// Default 1 min.
	MDNPoll time.Duration
	// AllowUnsignedMDN accepts an unsigned MDN although a signed one was asked for. Anybody on the way could have made it.
	AllowUnsignedMDN bool

	// OAEP encrypts the content's key with RSAES-OAEP and this hash, for partners that ask for it. Default: RSAES-PKCS1-v1_5.
	OAEP crypto.Hash
	// AlgorithmProtection adds the signed attribute of RFC 6211, which some servers refuse (IBM Sterling, DataPower).
	AlgorithmProtection bool
	// Headers go with every message, such as what a partner's gateway wants. They replace none of AS2's.
	Headers http.Header
	// MaxFileSize refuses larger files with FILE_SIZE_TOO_LARGE, in bytes. Default: no limit (AWS: 1 GB).
	MaxFileSize int64
	// SpoolDir is the folder for temporary files. Default: the system's.
	SpoolDir string

	// Name is the partner's name in rows and queries. Empty means Partner.AS2ID.
	Name string
	// MaxFiles is how many messages are under way at once, over all nodes. Those that await an asynchronous MDN do not
	// count. Default 4.
	MaxFiles int
	// Retry says how files are tried again. Nil means 5 attempts, after delays of up to 5, 10, 20 and 40 min.
	Retry *transfer.RetryPolicy

	// Limits bound what moves to this partner, and when. Nil means none. transfer.New checks them. A message is sent as a
	// whole, after the time that Limits.BytesPerSecond gives it.
	Limits *transfer.Limits

	// ConnectTimeout limits dialling and the TLS handshake, each. Default 30 s.
	ConnectTimeout time.Duration
	// StallTimeout limits how long the partner takes nothing of a message. Default 60 s.
	StallTimeout time.Duration
	// ResponseTimeout limits how long the answer to a message takes, which holds a synchronous MDN. Default 10 min: the
	// partner verifies the whole file before.
	ResponseTimeout time.Duration
	// Dial makes connections, for proxies and tests. It MUST return once ctx has ended. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger gets result files that could not be written. Nil is silent.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	setDefault(&c.Compression, CompressionDisabled)
	setDefault(&c.EncryptionAlgorithm, AES256CBC)
	setDefault(&c.SigningAlgorithm, SHA256)
	if c.MDNSigningAlgorithm == "" || c.MDNSigningAlgorithm == SigningDefault {
		c.MDNSigningAlgorithm = c.SigningAlgorithm
	}
	setDefault(&c.MDNResponse, MDNSync)
	setDefault(&c.MDNTimeout, 24*time.Hour)
	setDefault(&c.MDNPoll, time.Minute)
	setDefault(&c.Name, c.Partner.AS2ID)
	setDefault(&c.MaxFiles, 4)
	if c.Retry == nil {
		c.Retry = &transfer.RetryPolicy{MaxAttempts: 5, FirstDelay: 5 * time.Minute, MaxDelay: 40 * time.Minute}
	}
	setDefault(&c.ConnectTimeout, 30*time.Second)
	setDefault(&c.StallTimeout, time.Minute)
	setDefault(&c.ResponseTimeout, 10*time.Minute)
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate names every wrong field, with the fix.
func (c Config) validate() error {
	var errs []error
	c.check(func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("as2x: Config."+field+" "+format, args...))
	})
	return errors.Join(errs...)
}

func (c Config) check(wrong wrongFunc) {
	c.Local.check(wrong, "Local")
	c.Partner.check(wrong, "Partner")
	c.validateURLs(wrong)
	c.validateAlgorithms(wrong)
	c.validateLimits(wrong)
	if len(c.MessageSubject) > 1024 || strings.ContainsFunc(c.MessageSubject, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
		wrong("MessageSubject", "is not up to 1,024 printable ASCII characters (use others)")
	}
	for name := range c.Headers {
		if reserved(name) {
			wrong("Headers", "has %q, which is AS2's own (leave it out)", name)
		}
	}
}

// maxURL is AWS's limit of AsyncMdnConfig.Url.
const maxURL = 255

func (c Config) validateURLs(wrong wrongFunc) {
	secure := false
	if problem := urlProblem(c.URL); problem != "" {
		wrong("URL", "%q %s", shorten(c.URL, 80), problem)
	} else {
		secure = strings.HasPrefix(strings.ToLower(c.URL), "https:")
	}
	if !secure && c.EncryptionAlgorithm == EncryptionNone {
		wrong("EncryptionAlgorithm", "is NONE with an URL that is not https (use AES256_CBC, or https)")
	}
	if !secure && c.BasicAuth != nil {
		wrong("BasicAuth", "is given with an URL that is not https (use https)")
	}
	if c.MDNResponse != MDNAsync {
		return
	}
	if problem := urlProblem(c.AsyncMDNURL); problem != "" {
		wrong("AsyncMDNURL", "%q %s (it is required with MDNAsync)", shorten(c.AsyncMDNURL, 80), problem)
	}
	if c.Records == nil || c.Records.Storage == nil {
		wrong("Records", "is nil or has no Storage (MDNAsync needs those of the Receiver)")
	}
}

// urlProblem says what is wrong with the URL of an AS2 server; "" if nothing is.
func urlProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "":
		return "is no URL (try https://as2.example.com/receive)"
	case u.Scheme != "http" && u.Scheme != "https":
		return "is neither http nor https (use one of them)"
	case u.User != nil:
		return "holds a user (use Config.BasicAuth)"
	case !quotable(text) || len(text) > maxURL:
		return fmt.Sprintf("is not up to %d printable ASCII characters", maxURL)
	}
	return ""
}

func (c Config) validateAlgorithms(wrong wrongFunc) {
	if !slices.Contains([]Compression{CompressionZLIB, CompressionDisabled}, c.Compression) {
		wrong("Compression", "is %q (use ZLIB or DISABLED)", c.Compression)
	}
	if !c.EncryptionAlgorithm.valid() {
		wrong("EncryptionAlgorithm", "is %q (use AES256_CBC, AES192_CBC, AES128_CBC, DES_EDE3_CBC or NONE)", c.EncryptionAlgorithm)
	}
	for name, s := range map[string]SigningAlgorithm{"SigningAlgorithm": c.SigningAlgorithm, "MDNSigningAlgorithm": c.MDNSigningAlgorithm} {
		if !s.valid() {
			wrong(name, "is %q (use SHA256, SHA384, SHA512, SHA1 or NONE)", s)
		}
	}
	if !slices.Contains([]MDNResponse{MDNSync, MDNAsync, MDNNone}, c.MDNResponse) {
		wrong("MDNResponse", "is %q (use SYNC, ASYNC or NONE)", c.MDNResponse)
	}
	if c.EncryptionAlgorithm != EncryptionNone && len(c.Partner.Encryption) == 0 {
		wrong("Partner.Encryption", "is empty (give the certificate to encrypt for, or set EncryptionAlgorithm to NONE)")
	}
	if c.SigningAlgorithm != SigningNone && len(c.Local.Signing) == 0 {
		wrong("Local.Signing", "is empty (give the key to sign with, or set SigningAlgorithm to NONE)")
	}
	if c.MDNResponse != MDNNone && c.MDNSigningAlgorithm != SigningNone && len(c.Partner.Signing) == 0 {
		wrong("Partner.Signing", "is empty (give the certificate that MDNs are signed with, or set MDNSigningAlgorithm to NONE)")
	}
	if c.OAEP != 0 && !c.OAEP.Available() {
		wrong("OAEP", "is %v (use crypto.SHA256 or crypto.SHA1)", c.OAEP)
	}
}

func (c Config) validateLimits(wrong wrongFunc) {
	for name, d := range map[string]time.Duration{
		"MDNTimeout": c.MDNTimeout, "MDNPoll": c.MDNPoll, "ConnectTimeout": c.ConnectTimeout, "StallTimeout": c.StallTimeout,
		"ResponseTimeout": c.ResponseTimeout,
	} {
		if d < time.Millisecond {
			wrong(name, "is %v (use 1ms or more, or 0 for the default)", d)
		}
	}
	if c.MaxFiles < 1 {
		wrong("MaxFiles", "is %d (use 1 or more, or 0 for 4)", c.MaxFiles)
	}
	if c.MaxFileSize < 0 {
		wrong("MaxFileSize", "is %d (use more than 0, or 0 for no limit)", c.MaxFileSize)
	}
}
