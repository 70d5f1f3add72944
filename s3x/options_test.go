package s3x

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

func TestNew(t *testing.T) {
	t.Parallel()
	_, err := New(nil, Options{})
	require.ErrorContains(t, err, "try s3.NewFromConfig(cfg)")
	_, err = New((*s3.Client)(nil), Options{})
	require.ErrorContains(t, err, "try s3.NewFromConfig(cfg)")

	client := s3.New(s3.Options{Region: "us-east-1"})
	s, err := New(client, Options{})
	require.NoError(t, err)
	require.Equal(t, Options{
		PartConcurrency: 4, MaxParts: 10_000, Compat: CompatAuto, Checksum: ChecksumAuto, Payload: PayloadAuto,
		StallTimeout: time.Minute,
	}, s.o)
	require.Equal(t, ChecksumCRC64NVME, s.checksum)

	_, err = New(client, Options{
		Bucket: "a/b", Prefix: "x/../y", PartConcurrency: -1, MaxParts: -1, Compat: "x", Payload: "y", Checksum: "MD5",
		StallTimeout: -2,
	})
	for _, hint := range []string{
		"put what follows the name into Options.Prefix", `a segment ".."`, "PartConcurrency is -1 (use 1 or more, or 0 for 4)",
		"MaxParts is -1", "use CompatAuto", "use PayloadAuto",
		"use ChecksumAuto", "StallTimeout is -2ns (use a positive one",
	} {
		require.ErrorContains(t, err, hint)
	}
	_, err = New(client, Options{Prefix: "in"})
	require.ErrorContains(t, err, "set Options.Bucket")
}

func TestCompatAuto(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint string
		aws      bool
	}{
		{"", true},
		{"https://s3.eu-central-1.amazonaws.com", true},
		{"https://s3.cn-north-1.amazonaws.com.cn", true},
		{"https://bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com", true},
		{"https://S3.dualstack.US-EAST-1.AMAZONAWS.COM:443/", true},
		{"https://s3.eusc-de-east-1.amazonaws.eu", true},
		{"http://127.0.0.1:9000", false},
		{"https://minio.example.com", false},
		{"https://amazonaws.com.example.com", false},
		{"https://s3.notamazonaws.com", false},
		{"https://account.r2.cloudflarestorage.com", false},
		{"://", false},
	} {
		o := s3.Options{RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported}
		if c.endpoint != "" {
			o.BaseEndpoint = &c.endpoint
		}
		require.Equal(t, c.aws, isAWS(o), c.endpoint)
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		require.False(t, isAWS(o), "the client's own wish counts")
	}

	// the endpoint may come from the client's config
	client := s3.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String("http://localhost:9000")})
	s, err := New(client, Options{})
	require.NoError(t, err)
	require.Equal(t, ChecksumNone, s.checksum)
	s, err = New(client, Options{Compat: CompatAWS})
	require.NoError(t, err)
	require.Equal(t, ChecksumCRC64NVME, s.checksum)
}
