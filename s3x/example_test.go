package s3x_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/s3x"
)

// On AWS, region and credentials come from where the SDK finds them; paths name their bucket.
func ExampleNew() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	storage, err := s3x.New(s3.NewFromConfig(cfg), s3x.Options{})
	if err != nil {
		log.Fatal(err)
	}
	client, err := transfer.New(transfer.Config{Storage: storage})
	if err != nil {
		log.Fatal(err)
	}
	_ = client // SendFilePaths: []string{"/my-bucket/outbox/a.csv"}
}

// A server of one's own, such as MinIO: here a fake one, with the folder "inbox" of one bucket as the storage.
func ExampleNew_compatible() {
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	defer server.Close()
	ctx := context.Background()
	client := s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.URL),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
		HTTPClient:   server.Client(),
	})
	bucket, key := "partners", "inbox/hello.txt"
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		log.Fatal(err)
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("hello")}); err != nil {
		log.Fatal(err)
	}

	storage, err := s3x.New(client, s3x.Options{Bucket: bucket, Prefix: "inbox"})
	if err != nil {
		log.Fatal(err)
	}
	source, err := storage.Open(ctx, "/hello.txt")
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	content := make([]byte, source.Info().Size)
	if err := source.ReadWindow(ctx, content, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s (%s)\n", content, source.Info().Identity())
	_, err = storage.Open(ctx, "/../payroll/a.csv")
	fmt.Println(transfer.CodeOf(err))
	// Output:
	// hello (etag:5d41402abc4b2a76b9719d911017c592)
	// PATH_ESCAPES
}

// A janitor, called once a day, for servers without lifecycle rules.
func ExampleStorage_AbortUploads() {
	server := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true)).Server())
	defer server.Close()
	storage, err := s3x.New(s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.URL),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
		HTTPClient:   server.Client(),
	}), s3x.Options{})
	if err != nil {
		log.Fatal(err)
	}
	aborted, err := storage.AbortUploads(context.Background(), "/partners/inbox/", 7*24*time.Hour)
	fmt.Println(aborted, "uploads aborted,", "error:", err)
	// Output: 0 uploads aborted, error: <nil>
}
