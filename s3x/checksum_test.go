package s3x

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// roundTrip delivers and reads a file of one window, one of several and an empty one, and returns what was sent.
func roundTrip(t *testing.T, s *server, o Options) (requests *spy, single, multi []byte) {
	t.Helper()
	client, requests := spyOn(s.client)
	storage := s.storageOver(t, client, o)
	single, multi = random(int(s.window)), random(int(s.window)+100)
	for name, data := range map[string][]byte{"single": single, "multi": multi, "empty": {}} {
		require.NoError(t, storagetest.Write(t.Context(), storage, name, data, transfer.CreateOptions{WindowSize: s.window}))
		got, err := storagetest.Read(t.Context(), storage, name)
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(data), sha256.Sum256(got))
	}
	return requests, single, multi
}

func isSingle(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/single")
}

func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func isAny(*http.Request) bool { return true }

func TestOtherServersGetNoChecksums(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		requests, _, _ := roundTrip(t, s, Options{})
		all := requests.requests(isAny)
		require.Greater(t, len(all), 8)
		for _, r := range all {
			for name, values := range r.Header {
				name = strings.ToLower(name)
				require.NotContains(t, name, "checksum", "%s %s", r.Method, r.URL)
				require.NotContains(t, name, "trailer", "%s %s", r.Method, r.URL)
				require.NotContains(t, strings.Join(values, ","), "aws-chunked")
				require.NotContains(t, strings.Join(values, ","), "TRAILER")
			}
		}
	})
}

func TestAWSGetsChecksums(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		requests, single, multi := roundTrip(t, s, Options{Compat: CompatAWS})
		sum := sha256.Sum256(single)
		puts := requests.requests(isSingle)
		require.Len(t, puts, 1)
		require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), puts[0].Header.Get("X-Amz-Checksum-Sha256"))
		parts := requests.requests(isPart)
		require.Len(t, parts, 2)
		for _, r := range parts {
			p := multi[:s.window]
			if r.URL.Query().Get("partNumber") == "2" {
				p = multi[s.window:]
			}
			require.Equal(t, crcOf(p), r.Header.Get("X-Amz-Checksum-Crc32"))
		}
		completes := requests.requests(isComplete)
		require.Len(t, completes, 1)
		require.Equal(t, "FULL_OBJECT", completes[0].Header.Get("X-Amz-Checksum-Type"))
		for _, r := range requests.requests(isAny) {
			require.Empty(t, r.Header.Get("X-Amz-Trailer"), "bodies are not chunked: the sums are known before")
		}
	})
}

// TestChecksumOfObject sees the checksums that versitygw, like S3, makes of those of the parts.
func TestChecksumOfObject(t *testing.T) {
	t.Parallel()
	s := real(t)
	_, single, multi := roundTrip(t, s, Options{Compat: CompatAWS})
	head := func(key string) *s3.HeadObjectOutput {
		out, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		require.NoError(t, err)
		return out
	}
	sum := sha256.Sum256(single)
	require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), aws.ToString(head("single").ChecksumSHA256))
	require.Equal(t, crcOf(multi), aws.ToString(head("multi").ChecksumCRC32))
	require.Equal(t, types.ChecksumTypeFullObject, head("multi").ChecksumType)
}

// TestResumeWithChecksums goes on with uploads of the other kind of client.
func TestResumeWithChecksums(t *testing.T) {
	t.Parallel()
	s := real(t)
	for _, before := range []Compat{CompatAWS, CompatOther} {
		for _, after := range []Compat{CompatAWS, CompatOther} {
			data := random(int(s.window) + 100)
			d := begin(t, s.storage(t, Options{Compat: before}), "a", data, transfer.CreateOptions{})
			require.NoError(t, d.write(t.Context(), 0))
			d.o.Checkpoint = d.Checkpoint()
			sink, err := s.storage(t, Options{Compat: after}).Create(t.Context(), "a", d.o)
			require.NoError(t, err)
			d = &delivery{sink, data, d.o}
			require.NoError(t, d.write(t.Context(), 1))
			require.NoError(t, d.commit(t.Context()), "%s, then %s", before, after)
		}
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	const unsigned = "UNSIGNED-PAYLOAD"
	sumOf := func(p []byte) string {
		sum := sha256.Sum256(p)
		return hex.EncodeToString(sum[:])
	}
	for _, c := range []struct {
		name         string
		payload      Payload
		https        bool
		single, part bool // signed
	}{
		{"http", "", false, true, true},
		{"https", "", true, true, false},
		{"https, signed", PayloadSigned, true, true, true},
		{"http, unsigned", PayloadUnsigned, false, false, false},
		{"https, unsigned", PayloadUnsigned, true, false, false},
	} {
		for _, compat := range []Compat{CompatAWS, CompatOther} {
			t.Run(c.name+", "+string(compat), func(t *testing.T) {
				t.Parallel()
				listener := httptest.NewUnstartedServer(gofakes3.New(s3mem.New()).Server())
				if c.https {
					listener.StartTLS()
				} else {
					listener.Start()
				}
				s := serve(t, listener)
				requests, single, multi := roundTrip(t, s, Options{Payload: c.payload, Compat: compat})
				put := requests.requests(isSingle)[0].Header.Get("X-Amz-Content-Sha256")
				part := ""
				for _, r := range requests.requests(isPart) {
					if r.URL.Query().Get("partNumber") == "1" {
						part = r.Header.Get("X-Amz-Content-Sha256")
					}
				}
				want := map[bool]string{true: sumOf(single), false: unsigned}
				require.Equal(t, want[c.single], put)
				want[true] = sumOf(multi[:s.window])
				require.Equal(t, want[c.part], part)
			})
		}
	}
}

// TestWrongSum shows that the server checks the sum of a single put: here it is not that of the content. (gofakes3 does
// not look at the payload's hash.)
func TestWrongSum(t *testing.T) {
	t.Parallel()
	s := real(t)
	for _, compat := range []Compat{CompatAWS, CompatOther} {
		d := begin(t, s.storage(t, Options{Compat: compat}), "a", random(100), transfer.CreateOptions{})
		d.writeAll(t)
		requireCode(t, transfer.ConnectionLost, d.Commit(t.Context(), sha256.Sum256([]byte("something else"))), "")
		require.Empty(t, s.keys(t))
	}
}
