package s3x

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// onePage is an S3 client whose lists of parts have one part a page.
type onePage struct {
	*s3.Client
	pages int
}

func (c *onePage) ListParts(ctx context.Context, in *s3.ListPartsInput, o ...func(*s3.Options)) (*s3.ListPartsOutput, error) {
	c.pages++
	in.MaxParts = aws.Int32(1)
	return c.Client.ListParts(ctx, in, o...)
}

// interrupted writes the windows of a new delivery and closes it.
func interrupted(t *testing.T, s *server, path string, data []byte, written ...int) (transfer.CreateOptions, *uploadSink) {
	t.Helper()
	d := begin(t, s.storage(t, Options{}), path, data, transfer.CreateOptions{})
	for _, i := range written {
		require.NoError(t, d.write(t.Context(), i))
	}
	d.o.Checkpoint = d.Checkpoint()
	require.NotNil(t, d.o.Checkpoint)
	require.NoError(t, d.Close())
	return d.o, d.Sink.(*uploadSink)
}

func TestResumeElsewhere(t *testing.T) {
	t.Parallel()
	s := real(t)
	data := random(int(s.window)*3 + 9)
	o, _ := interrupted(t, s, "a", data, 0, 1, 3)
	client := &onePage{Client: s.client}
	sink, err := s.storageOver(t, client, Options{}).Create(t.Context(), "a", o)
	require.NoError(t, err)
	require.Equal(t, 3, client.pages)
	d := &delivery{sink, data, o}
	requireCode(t, transfer.SizeMismatch, d.commit(t.Context()), "5242880 of 15728649 bytes have not come")
	require.NoError(t, d.write(t.Context(), 2))
	require.NoError(t, d.commit(t.Context()))
	require.NoError(t, d.Close())
	got, err := storagetest.Read(t.Context(), s.storage(t, Options{}), "a")
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Zero(t, s.openUploads(t))
}

func TestCheckpointLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		w := int(s.window)
		for name, damage := range map[string]func(o *transfer.CreateOptions, k *uploadSink){
			"other window size": func(o *transfer.CreateOptions, _ *uploadSink) { o.WindowSize++ },
			"other size":        func(o *transfer.CreateOptions, _ *uploadSink) { o.Size-- },
			"now one window":    func(o *transfer.CreateOptions, _ *uploadSink) { o.Size = 1 },
			"parts are missing": func(o *transfer.CreateOptions, k *uploadSink) {
				k.acknowledge(1, part{etag: aws.String("never")})
				o.Checkpoint = k.Checkpoint()
			},
			"a part has another size": func(o *transfer.CreateOptions, _ *uploadSink) {
				var c checkpoint
				require.NoError(t, json.Unmarshal(o.Checkpoint, &c))
				c.Window--
				o.WindowSize--
				c.Size, o.Size = o.WindowSize*2+100, o.WindowSize*2+100
				o.Checkpoint, _ = json.Marshal(c)
			},
		} {
			o, sink := interrupted(t, s, "a", random(w*2+100), 0)
			damage(&o, sink)
			storage := s.storage(t, Options{})
			storage.minPart--
			_, err := storage.Create(t.Context(), "a", o)
			requireCode(t, transfer.CheckpointLost, err, "")
			require.Zero(t, s.openUploads(t), "the upload that is of no use (%s) is still there", name)
		}
		o, sink := interrupted(t, s, "a", random(w*2+100), 0)
		require.NoError(t, sink.Abort(t.Context()))
		_, err := s.storage(t, Options{}).Create(t.Context(), "a", o)
		requireCode(t, transfer.CheckpointLost, err, "NoSuchUpload")
	})
}

func TestResumeRefusedByPolicy(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	o, _ := interrupted(t, s, "a", random(int(s.window)*2), 0)
	s.write(t, "a", random(1))
	o.Overwrite = transfer.OverwriteFail
	_, err := s.storage(t, Options{}).Create(t.Context(), "a", o)
	requireCode(t, transfer.FileExists, err, "there is an object already")
	require.Zero(t, s.openUploads(t), "nobody will go on with it")
}

// TestResumeLater meets a server that is not well: that is no reason to start again at zero.
func TestResumeLater(t *testing.T) {
	t.Parallel()
	status := 0
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if status != 0 && r.Method == http.MethodGet {
				answer(w, status, "Whatever")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	o, _ := interrupted(t, s, "a", random(int(s.window)*2), 0)
	for failure, code := range map[int]transfer.Code{503: transfer.PartnerBusy, 403: transfer.PermissionDenied} {
		status = failure
		_, err := s.storage(t, Options{}).Create(t.Context(), "a", o)
		requireCode(t, code, err, "resume a")
	}
	status = 0
	require.Equal(t, 1, s.openUploads(t))
}

// TestEndlessParts is on a server that has always one more page of parts.
func TestEndlessParts(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := storageOnWire(t, func(*http.Request) (*http.Response, error) {
		page := fmt.Sprintf("<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker></ListPartsResult>", asked.Add(1))
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(page))}, nil
	}, Options{})
	requireCode(t, transfer.CheckpointLost, allRequests["resume"](t.Context(), s), "does not end")
	require.LessOrEqual(t, asked.Load(), int32(3+2*abortAttempts))
}

// FuzzResume goes on from any checkpoint with any list of parts. What is missing is known to be missing.
func FuzzResume(f *testing.F) {
	const window, size = 1 << 10, 3<<10 + 5
	list := func(parts string) string { return "<ListPartsResult>" + parts + "</ListPartsResult>" }
	one := func(number, size int) string {
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>x</ETag><Size>%d</Size></Part>", number, size)
	}
	for _, seed := range []string{
		`{"id":"u","size":3077,"window":1024,"whole":1}`, `{"id":"","size":3077,"window":1024}`, `{"id":"u","whole":-1}`, `[]`, ``,
		`{"id":"u","delivery":"d","checksum":"CRC64NVME","size":3077,"window":1024,"whole":0}`,
		`{"id":"u","delivery":"d","checksum":"MD5","size":3077,"window":1024,"whole":0}`,
	} {
		f.Add([]byte(seed), list(one(1, window)+one(2, window)))
		f.Add([]byte(seed), list(one(1, window)+one(2, window)+one(3, window)+one(4, 5)))
		f.Add([]byte(seed), list(one(0, window)+one(5, 1)))
		f.Add([]byte(seed), list(one(-2147483648, 5)))
		f.Add([]byte(seed), list("<IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>"))
		f.Add([]byte(seed), "<Error>")
	}
	f.Fuzz(func(t *testing.T, data []byte, parts string) {
		s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			switch {
			case r.Method == http.MethodGet:
				_, _ = io.WriteString(w, parts)
			case r.Method == http.MethodDelete:
				answer(w, 404, "NoSuchUpload")
			}
			return w.Result(), nil
		}, Options{})
		s.call = append(s.call, func(o *s3.Options) { o.Retryer = aws.NopRetryer{} }) // no pauses
		sink, err := s.Create(t.Context(), "a", transfer.CreateOptions{Size: size, WindowSize: window, Checkpoint: data})
		if len(data) == 0 || err != nil {
			require.True(t, len(data) == 0 || transfer.CodeOf(err) != "", "%v", err)
			return
		}
		k := sink.(*uploadSink)
		require.NotEmpty(t, k.upload.ID)
		require.NotNil(t, k.Checkpoint())
		here := 0
		for _, p := range k.parts {
			if p.etag != nil {
				here++
			}
		}
		_, err = k.completed()
		require.Equal(t, here < len(k.parts), err != nil)
		k.objectSum()
	})
}
