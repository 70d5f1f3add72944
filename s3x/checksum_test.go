package s3x

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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
		requireNoChecksums(t, requests)
	})
}

func requireNoChecksums(t *testing.T, requests *spy) {
	t.Helper()
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
}

// headers of the algorithms
var checksumHeader = map[Checksum]string{
	ChecksumCRC64NVME: "X-Amz-Checksum-Crc64nvme", ChecksumCRC32: "X-Amz-Checksum-Crc32",
}

func TestChecksumsAreSent(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Compat: CompatAWS}, {Checksum: ChecksumCRC64NVME}, {Checksum: ChecksumCRC32}} {
		algorithm := o.Checksum
		if algorithm == "" {
			algorithm = ChecksumCRC64NVME
		}
		onBoth(t, func(t *testing.T, s *server) {
			requests, single, multi := roundTrip(t, s, o)
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
				require.Equal(t, *algorithm.sum(p), r.Header.Get(checksumHeader[algorithm]))
			}
			completes := requests.requests(isComplete)
			require.Len(t, completes, 1)
			require.Equal(t, "FULL_OBJECT", completes[0].Header.Get("X-Amz-Checksum-Type"))
			require.Equal(t, *algorithm.sum(multi), completes[0].Header.Get(checksumHeader[algorithm]))
			for _, r := range requests.requests(isAny) {
				require.Empty(t, r.Header.Get("X-Amz-Trailer"), "bodies are not chunked: the sums are known before")
			}
		})
	}
}

func TestNoChecksumOnAWS(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		requests, _, _ := roundTrip(t, s, Options{Compat: CompatAWS, Checksum: ChecksumNone})
		requireNoChecksums(t, requests)
	})
}

// TestChecksumOfObject sees the checksums that versitygw, like S3, makes of those of the parts.
func TestChecksumOfObject(t *testing.T) {
	t.Parallel()
	s := real(t)
	for _, algorithm := range []Checksum{ChecksumCRC64NVME, ChecksumCRC32} {
		_, single, multi := roundTrip(t, s, Options{Checksum: algorithm})
		head := func(key string) *s3.HeadObjectOutput {
			out, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			require.NoError(t, err)
			return out
		}
		sum := sha256.Sum256(single)
		require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), aws.ToString(head("single").ChecksumSHA256))
		sent, other := head("multi").ChecksumCRC64NVME, head("multi").ChecksumCRC32
		if algorithm == ChecksumCRC32 {
			sent, other = other, sent
		}
		require.Equal(t, *algorithm.sum(multi), aws.ToString(sent))
		require.Nil(t, other)
		require.Equal(t, types.ChecksumTypeFullObject, head("multi").ChecksumType)
	}
}

// TestResumeWithChecksums goes on with uploads that were begun with other checksums.
func TestResumeWithChecksums(t *testing.T) {
	t.Parallel()
	s := real(t)
	kinds := []Options{{Compat: CompatAWS}, {Compat: CompatOther}, {Checksum: ChecksumCRC32}}
	for _, before := range kinds {
		for _, after := range kinds {
			data := random(int(s.window) + 100)
			d := begin(t, s.storage(t, before), "a", data, transfer.CreateOptions{})
			require.NoError(t, d.write(t.Context(), 0))
			d.o.Checkpoint = d.Checkpoint()
			client, requests := spyOn(s.client)
			sink, err := s.storageOver(t, client, after).Create(t.Context(), "a", d.o)
			require.NoError(t, err)
			d = &delivery{sink, data, d.o}
			require.NoError(t, d.write(t.Context(), 1))
			require.NoError(t, d.commit(t.Context()), "%+v, then %+v", before, after)
			if algorithm := sink.(*uploadSink).upload.Checksum; algorithm.sums() {
				complete := requests.requests(isComplete)[0]
				require.Equal(t, *algorithm.sum(data), complete.Header.Get(checksumHeader[algorithm]))
			}
		}
	}
}

func TestCombine(t *testing.T) {
	t.Parallel()
	data := random(1 << 16)
	for _, c := range []Checksum{ChecksumCRC64NVME, ChecksumCRC32} {
		whole, err := c.decode(c.sum(data))
		require.NoError(t, err)
		for _, cut := range []int{0, 1, 2, 7, 1000, len(data) - 1, len(data)} {
			first, _ := c.decode(c.sum(data[:cut]))
			second, _ := c.decode(c.sum(data[cut:]))
			require.Equal(t, whole, c.combine(first, second, int64(len(data)-cut)), "%s, cut at %d", c, cut)
		}
		_, err = c.decode(aws.String("AAA="))
		require.ErrorContains(t, err, "is no "+string(c))
	}
}

// TestCRC64NVME compares what the processor's instructions make with the check value of CRC-64/NVME, of "123456789", and
// with the table of the standard library.
func TestCRC64NVME(t *testing.T) {
	t.Parallel()
	require.Equal(t, ChecksumCRC64NVME.encode(0xae8b14860a799888), ChecksumCRC64NVME.sum([]byte("123456789")))
	data, table := random(1<<16), crc64.MakeTable(nvmePolynomial)
	for _, n := range []int{0, 1, 7, 8, 127, 128, 1000, 1025, 4096, 1<<16 - 1, 1 << 16} {
		require.Equal(t, ChecksumCRC64NVME.encode(crc64.Checksum(data[:n], table)), ChecksumCRC64NVME.sum(data[:n]), "%d bytes", n)
	}
}

// damage is an HTTP client that changes the first byte of the bodies for which is says so.
type damage struct {
	s3.HTTPClient
	is func(*http.Request) bool
}

func (c damage) Do(r *http.Request) (*http.Response, error) {
	if c.is(r) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body[0]++
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.HTTPClient.Do(r)
}

// TestDamagedOnTheWay sends bytes over a wire that changes some of them.
func TestDamagedOnTheWay(t *testing.T) {
	t.Parallel()
	s := real(t)
	for name, o := range map[string]Options{
		"CRC64NVME": {Checksum: ChecksumCRC64NVME, Payload: PayloadUnsigned},
		"CRC32":     {Checksum: ChecksumCRC32, Payload: PayloadUnsigned},
		"signature": {},
	} {
		for kind, size := range s.sizes() {
			var times atomic.Int32
			client := s3.New(s.client.Options(), func(o *s3.Options) {
				o.HTTPClient = damage{o.HTTPClient, func(r *http.Request) bool {
					return r.Method == http.MethodPut && times.Add(-1) >= 0
				}}
			})
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				path := kind + name
				d := begin(t, s.storageOver(t, client, o), path, random(size), transfer.CreateOptions{})
				times.Store(integrityRetries)
				d.writeAll(t)
				require.NoError(t, d.commit(t.Context()), "the bytes are sent again")
				got, err := storagetest.Read(t.Context(), s.storage(t, Options{}), path)
				require.NoError(t, err)
				require.Equal(t, sha256.Sum256(d.data), sha256.Sum256(got))

				d = begin(t, s.storageOver(t, client, o), path+"2", d.data, transfer.CreateOptions{})
				times.Store(100)
				err = d.write(t.Context(), 0)
				if err == nil {
					err = d.commit(t.Context())
				}
				requireCode(t, transfer.IntegrityError, err, "")
				require.EqualValues(t, 100-1-integrityRetries, times.Load(), "it is not sent for ever")
				require.NoError(t, d.Abort(t.Context()))
			})
		}
	}
}

// TestOtherObject commits parts of which one is not what the sink believes: the server refuses the sum of the whole.
func TestOtherObject(t *testing.T) {
	t.Parallel()
	s := real(t)
	for _, c := range []Checksum{ChecksumCRC64NVME, ChecksumCRC32} {
		d := begin(t, s.storage(t, Options{Checksum: c}), "a", random(int(s.window)+100), transfer.CreateOptions{})
		d.writeAll(t)
		k := d.Sink.(*uploadSink)
		in := &s3.CompleteMultipartUploadInput{
			Bucket: &s.bucket, Key: aws.String("a"), UploadId: &k.upload.ID, ChecksumType: types.ChecksumTypeFullObject,
		}
		in.ChecksumCRC64NVME, in.ChecksumCRC32 = c.split(c.sum([]byte("something else")))
		parts, err := k.completed()
		require.NoError(t, err)
		in.MultipartUpload = &types.CompletedMultipartUpload{Parts: parts}
		_, err = s.client.CompleteMultipartUpload(t.Context(), in)
		requireCode(t, transfer.IntegrityError, fail("commit", "a", err), "")
		require.Empty(t, s.keys(t), "nothing was published")
		require.NoError(t, d.Abort(t.Context()))
	}
}

// TestServerHasOtherSum is on a server that says after the fact that the object is not what was sent.
func TestServerHasOtherSum(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isComplete(r) {
				_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></CompleteMultipartUploadResult>")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	d := begin(t, s.storage(t, Options{Checksum: ChecksumCRC64NVME}), "a", random(int(s.window)+100), transfer.CreateOptions{})
	d.writeAll(t)
	requireCode(t, transfer.IntegrityError, d.commit(t.Context()), "CRC64NVME is AAAAAAAAAAA=")
}

// TestDamagedSource reads from a server whose object has another checksum than its bytes.
func TestDamagedSource(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.Header().Set("X-Amz-Checksum-Crc32", *ChecksumCRC32.sum([]byte("something else")))
			}
			next.ServeHTTP(w, r)
		})
	})
	s.write(t, "a", random(100))
	err := open(t, s.storage(t, Options{Compat: CompatAWS}), "a").ReadWindow(t.Context(), make([]byte, 100), 0)
	requireCode(t, transfer.IntegrityError, err, "body of 100 bytes at 0")
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
		requireCode(t, transfer.IntegrityError, d.Commit(t.Context(), sha256.Sum256([]byte("something else"))), "")
		require.Empty(t, s.keys(t))
	}
}
