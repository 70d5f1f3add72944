package s3x

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/seed62b9dc43/transfer"
)

var _ transfer.Directories = (*Storage)(nil)

// ListDirectory lists the objects whose keys go on with one more segment after dir, and as directories the segments that
// go on further, with one request for each 1,000 (ListObjectsV2). Within a request objects come first. An object and a
// directory may have the same name. Objects whose keys end in a slash, as consoles make them, are no files: they only
// make the directory be there when nothing else is below it. A bucket cannot be listed with others: "/" is PathNotFound
// without Options.Bucket.
func (s *Storage) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) (more bool)) error {
	at, err := s.locateFolder("list", dir)
	if err != nil {
		return err
	}
	in := &s3.ListObjectsV2Input{
		Bucket: &at.bucket, Prefix: &at.key, Delimiter: aws.String("/"), EncodingType: types.EncodingTypeUrl, MaxKeys: s.pageSize,
	}
	there := at.key == s.o.Prefix
	for {
		out, err := s.client.ListObjectsV2(ctx, in, s.call...)
		if err != nil {
			return fail("list", dir, err)
		}
		there = there || len(out.Contents) > 0 || len(out.CommonPrefixes) > 0
		if !listPage(at.key, out, found) {
			return nil
		}
		if !aws.ToBool(out.IsTruncated) {
			break
		}
		next := aws.ToString(out.NextContinuationToken)
		if next == "" || next == aws.ToString(in.ContinuationToken) {
			return because("list", dir, transfer.ListDirectoryError, "the server says that there is more, and not how to ask for it", nil)
		}
		in.ContinuationToken = &next
	}
	if !there {
		return because("list", dir, transfer.DirectoryNotFound, "there are no objects below it", nil)
	}
	return nil
}

// listPage gives out what one answer has, and reports whether more is wanted.
func listPage(prefix string, out *s3.ListObjectsV2Output, found func(transfer.DirectoryEntry) bool) (more bool) {
	nameOf := func(key *string) string {
		text := aws.ToString(key)
		if out.EncodingType == types.EncodingTypeUrl {
			text = decodeKey(text)
		}
		name, below := strings.CutPrefix(text, prefix)
		if !below {
			return ""
		}
		return name
	}
	folders := make([]string, 0, len(out.CommonPrefixes))
	for _, folder := range out.CommonPrefixes {
		folders = append(folders, strings.TrimSuffix(nameOf(folder.Prefix), "/"))
	}
	for _, o := range out.Contents {
		name := nameOf(o.Key)
		if marker, ok := strings.CutSuffix(name, "/"); ok && !slices.Contains(folders, marker) {
			folders = append(folders, marker) // gofakes3 says so, AWS has it among the prefixes
		}
		if isName(name) && !found(fileEntry(name, &o)) {
			return false
		}
	}
	for _, name := range folders {
		if isName(name) && !found(transfer.DirectoryEntry{Name: name, Directory: true, Size: -1}) {
			return false
		}
	}
	return true
}

func fileEntry(name string, o *types.Object) transfer.DirectoryEntry {
	e := transfer.DirectoryEntry{Name: name, Size: -1, ModTime: aws.ToTime(o.LastModified).UTC()}
	if o.Size != nil {
		e.Size = *o.Size
	}
	return e
}

// decodeKey undoes encoding-type=url; what is not encoded after all stays as it is.
func decodeKey(key string) string {
	decoded, err := url.QueryUnescape(key)
	if err != nil {
		return key
	}
	return decoded
}

// isName reports whether a name is one segment that a path may have.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// RemovePath removes one object: HeadObject tells whether it is there, since DeleteObject does not. A directory is there
// only while objects are below it, and is FileNotFound. In a bucket with versions the object gets a delete marker.
func (s *Storage) RemovePath(ctx context.Context, path string) error {
	at, err := s.locate("remove", path)
	if err != nil {
		return err
	}
	if _, err := s.head(ctx, "remove", at); err != nil {
		return err
	}
	return s.remove(ctx, "remove", at)
}

func (s *Storage) head(ctx context.Context, op string, at object) (*s3.HeadObjectOutput, error) {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key}, s.call...)
	if err != nil {
		return nil, fail(op, at.path, s.explain(ctx, at, err))
	}
	return head, nil
}

func (s *Storage) remove(ctx context.Context, op string, at object) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.key}, s.call...)
	return fail(op, at.path, err)
}

// MakeDirectory does nothing but to look at the path: directories are there while objects are below them.
func (s *Storage) MakeDirectory(ctx context.Context, path string) error {
	if _, err := s.locateFolder("make directory", path); err != nil {
		return err
	}
	return fail("make directory", path, ctx.Err())
}
