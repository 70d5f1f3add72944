//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Buckets of the gateway.
const (
	sourceBucket = "source" // a folder for each dataset
	targetBucket = "target" // a folder for each run
)

const region = "us-east-1"

// gateway is versitygw on a loopback port: a bucket is a folder in dir, an object a file.
type gateway struct {
	*server
	endpoint, accessKey, secretKey string
	dir                            string
	client                         *s3.Client
}

// startGateway starts the program over a folder below parent, with both buckets.
func startGateway(ctx context.Context, parent, program string) (*gateway, error) {
	g := &gateway{accessKey: "bench-" + rand.Text(), secretKey: rand.Text(), dir: filepath.Join(parent, "s3")}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	g.endpoint = "http://" + addr
	cmd := exec.Command(program, "--quiet", "--keep-alive", "--port", addr, "posix", g.dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+g.accessKey, "ROOT_SECRET_KEY="+g.secretKey)
	if g.server, err = startServer(cmd, addr); err != nil {
		return nil, err
	}
	g.client = newS3Client(g.endpoint, g.accessKey, g.secretKey)
	for _, bucket := range []string{sourceBucket, targetBucket} {
		if _, err := g.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			g.stop()
			return nil, fmt.Errorf("create bucket %s: %w", bucket, err)
		}
	}
	return g, nil
}

func newS3Client(endpoint, accessKey, secretKey string) *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: aws.String(endpoint),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

// upload puts a dataset into the source bucket, unless it is there.
func (g *gateway) upload(ctx context.Context, parent string, d dataset) error {
	if _, err := os.Stat(filepath.Join(g.dir, sourceBucket, d.folder())); err == nil {
		return nil
	}
	for _, name := range d.names() {
		key := d.folder() + "/" + name
		if err := g.put(ctx, filepath.Join(parent, d.folder(), name), key); err != nil {
			return fmt.Errorf("upload %s: %w", key, err)
		}
	}
	return nil
}

func (g *gateway) put(ctx context.Context, path, key string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = g.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(sourceBucket), Key: &key, Body: f})
	return err
}
