package s3x

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/seed62b9dc43/transfer"
)

// API is what a Storage needs of an S3 client; [s3.Client] has it. Embed a client and override PutObject,
// CreateMultipartUpload and CopyObject to add what a bucket demands, such as server-side encryption or a storage class.
type API interface {
	s3.HeadObjectAPIClient
	s3.ListPartsAPIClient
	s3.ListMultipartUploadsAPIClient
	Options() s3.Options
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)

	// for the calls of transfer.Directories
	s3.ListObjectsV2APIClient
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	CopyObject(context.Context, *s3.CopyObjectInput, ...func(*s3.Options)) (*s3.CopyObjectOutput, error)
	UploadPartCopy(context.Context, *s3.UploadPartCopyInput, ...func(*s3.Options)) (*s3.UploadPartCopyOutput, error)
}

// Options says where a Storage keeps its objects and how it talks to the server. The zero value is good for AWS.
type Options struct {
	// Bucket holds all objects: a path is a key in it. Empty (the default) means that a path names its bucket:
	// "/bucket/key" or "bucket/key".
	Bucket string
	// Prefix is the folder in Bucket that all paths are in; "in", "in/" and "/in" are the same. No path leads out of
	// it. Empty (the default) is the whole bucket.
	Prefix string
	// PartConcurrency is how many windows of one file may be on their way at once. 0 is 4. The client should keep that
	// many connections per file (WithConnections).
	PartConcurrency int
	// MaxParts is how many parts the server allows in one upload. 0 is 10,000, which is what AWS and most others
	// allow; some allow 1,000 (Scaleway).
	MaxParts int
	// Compat says whether the server is AWS. Empty is CompatAuto.
	Compat Compat
	// Checksum says which checksum goes with what is delivered. Empty is ChecksumAuto.
	Checksum Checksum
	// Payload says whether the signature of a part covers its bytes. Empty is PayloadAuto.
	Payload Payload
	// NoConditionalWrites is for servers that refuse If-None-Match (Backblaze B2). An overwrite policy other than REPLACE is then
	// kept by asking right before the object is written, so that a file which appears in that moment is replaced.
	NoConditionalWrites bool
	// StallTimeout limits how long nothing comes or goes of a request: it is then given up, and sent again as often as
	// the client's Retryer allows (three times by default), before the file fails with Stalled. To complete an upload,
	// and to copy, a server may take ten times as long. 0 is 60 s, −1 no limit.
	StallTimeout time.Duration
}

// Compat says which checksums the server understands.
type Compat string

// Kinds of server.
const (
	// CompatAuto takes the client for one of AWS unless its BaseEndpoint (from its options, its config or
	// AWS_ENDPOINT_URL) is outside of Amazon's domains, or its RequestChecksumCalculation is WhenRequired. It does
	// not see an endpoint that an EndpointResolverV2 makes.
	CompatAuto Compat = "AUTO"
	// CompatAWS sends checksums and leaves the client's settings as they are.
	CompatAWS Compat = "AWS"
	// CompatOther sends and asks for no checksum that is not required: what servers other than AWS understand.
	CompatOther Compat = "OTHER"
)

// Payload says whether the signature of a part covers its bytes, which costs a SHA-256 over all of them.
type Payload string

// Ways to sign parts.
const (
	PayloadAuto     Payload = "AUTO"     // over http, as TLS protects them otherwise
	PayloadSigned   Payload = "SIGNED"   // always
	PayloadUnsigned Payload = "UNSIGNED" // never, and PutObject neither; for http the server must allow it
)

const (
	defaultPartConcurrency = 4
	defaultMaxParts        = 10_000
	defaultStallTimeout    = 60 * time.Second
	minPartSize            = 5 << 20 // of all parts but the last (Amazon S3 User Guide, "multipart upload limits")
)

// Storage is a [transfer.Storage] whose files are S3 objects. It is safe for concurrent use, and has
// goroutines only while MovePath copies in parts.
type Storage struct {
	client   API
	o        Options
	minPart  int64               // lower in tests only
	maxCopy  int64               // likewise: above it, MovePath copies in parts
	copyPart int64               // likewise
	pageSize *int32              // of listings; set in tests only
	checksum Checksum            // of what is delivered; never ChecksumAuto
	call     []func(*s3.Options) // for each request
	part     []func(*s3.Options) // for each UploadPart
	complete []func(*s3.Options) // for each CompleteMultipartUpload and each copy
	fast     atomic.Bool         // reading from the server needs one connection only; see fastServer
}

var _ transfer.Storage = (*Storage)(nil)

// New returns a Storage over a ready-made client, usually an [s3.Client]. It sends nothing. The client stays the
// caller's: New reads its resolved options once and never its credentials.
func New(client API, o Options) (*Storage, error) {
	if c, ok := client.(*s3.Client); client == nil || ok && c == nil {
		return nil, errors.New("s3x: the client is nil (try s3.NewFromConfig(cfg))")
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	resolved := client.Options()
	s := &Storage{client: client, o: o, minPart: minPartSize, maxCopy: maxCopy, copyPart: copyPart}
	amazon := o.Compat == CompatAWS || o.Compat == CompatAuto && isAWS(resolved)
	s.checksum = o.Checksum.on(amazon)
	if !amazon || s.checksum == ChecksumNone {
		s.call = append(s.call, func(o *s3.Options) {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		})
	}
	// a part of an object has no checksum to validate, and the SDK would complain of each
	s.call = append(s.call, func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true })
	s.complete = append(s.complete, s.call...)
	s.complete = append(s.complete, boundedBy(o.StallTimeout*completePatience))
	s.call = append(s.call, boundedBy(o.StallTimeout))
	s.part = append(s.part, s.call...)
	switch o.Payload {
	case PayloadSigned:
		s.part = append(s.part, s3.WithAPIOptions(signPayload))
	case PayloadUnsigned:
		s.part = append(s.part, s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Prefix = strings.Trim(o.Prefix, "/"); o.Prefix != "" {
		o.Prefix += "/"
	}
	if o.PartConcurrency == 0 {
		o.PartConcurrency = defaultPartConcurrency
	}
	if o.MaxParts == 0 {
		o.MaxParts = defaultMaxParts
	}
	if o.Compat == "" {
		o.Compat = CompatAuto
	}
	if o.Checksum == "" {
		o.Checksum = ChecksumAuto
	}
	if o.Payload == "" {
		o.Payload = PayloadAuto
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = defaultStallTimeout
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("s3x: Options."+format, args...))
		}
	}
	wrong(o.Bucket == "" && o.Prefix != "", "Prefix is %q without a Bucket (set Options.Bucket)", o.Prefix)
	wrong(escapes(o.Prefix), "Prefix %q has a segment \"..\" (remove it)", o.Prefix)
	wrong(strings.Contains(o.Bucket, "/") && !strings.HasPrefix(o.Bucket, "arn:"), "Bucket %q has a slash (put what follows the name into Options.Prefix)", o.Bucket)
	wrong(o.PartConcurrency < 0, "PartConcurrency is %d (use 1 or more, or 0 for %d)", o.PartConcurrency, defaultPartConcurrency)
	wrong(o.MaxParts < 0 || o.MaxParts > math.MaxInt32, "MaxParts is %d (use 1 or more, or 0 for %d)", o.MaxParts, defaultMaxParts)
	wrong(o.Compat != CompatAuto && o.Compat != CompatAWS && o.Compat != CompatOther, "Compat is %q (use CompatAuto, CompatAWS or CompatOther)", o.Compat)
	wrong(!o.Checksum.valid(), "Checksum is %q (use ChecksumAuto, ChecksumCRC64NVME, ChecksumCRC32 or ChecksumNone)", o.Checksum)
	wrong(o.StallTimeout < -1, "StallTimeout is %s (use a positive one, 0 for %s, or -1 for no limit)", o.StallTimeout, defaultStallTimeout)
	wrong(o.Payload != PayloadAuto && o.Payload != PayloadSigned && o.Payload != PayloadUnsigned, "Payload is %q (use PayloadAuto, PayloadSigned or PayloadUnsigned)", o.Payload)
	return errors.Join(errs...)
}

// amazonDomains are the parents of AWS's own S3 endpoints, VPC endpoints included.
var amazonDomains = []string{".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.com.cn"}

// isAWS reports whether a client with these options talks to AWS and may send it checksums.
func isAWS(o s3.Options) bool {
	if o.RequestChecksumCalculation == aws.RequestChecksumCalculationWhenRequired {
		return false
	}
	if o.BaseEndpoint == nil {
		return true
	}
	endpoint, err := url.Parse(*o.BaseEndpoint)
	if err != nil {
		return false
	}
	for _, domain := range amazonDomains {
		if strings.HasSuffix(strings.ToLower(endpoint.Hostname()), domain) {
			return true
		}
	}
	return false
}

func signPayload(stack *middleware.Stack) error {
	sign := &v4.ComputePayloadSHA256{}
	_, err := stack.Finalize.Swap(sign.ID(), sign)
	return err
}

// withPayloadHash signs the body with a SHA-256 that is known, in hex, so that the SDK does not compute it again.
func withPayloadHash(sum string) func(*s3.Options) {
	set := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, sum), in)
	}
	return s3.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("transferPayloadHash", set), middleware.Before)
	})
}
