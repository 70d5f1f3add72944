// Package s3x is a [transfer.Storage] over Amazon S3 and the servers that speak its protocol (MinIO, Ceph, R2, …).
//
//	client := s3.NewFromConfig(cfg)
//	storage, err := s3x.New(client, s3x.Options{})                             // paths are /bucket/key
//	storage, err := s3x.New(client, s3x.Options{Bucket: "b", Prefix: "inbox"}) // paths are keys below inbox/
//
// # Reading
//
// Open asks for size and ETag (HeadObject) and pins that version. Every window is a ranged GetObject with If-Match, and
// with the version id where the bucket has versions; a body that breaks off goes on from where it stopped. An object
// that was replaced or deleted is [transfer.SourceChanged], also on servers that ignore If-Match.
//
// # Delivering
//
// A file of one window, or none, is one PutObject at Commit, with the SHA-256 of the content as object metadata
// "sha256". A larger one is a multipart upload with one part for each window, completed at Commit; it cannot have that
// metadata, because S3 takes metadata when an upload begins and the sum is known when it ends. Nobody sees anything of
// either before Commit. Both have metadata "transfer-delivery", a random token by which a Commit whose answer was lost
// knows its own object again.
//
// A multipart upload goes on from a Checkpoint, also in another process: S3's own list of parts says what has arrived.
// Windows must be at least 5 MiB if a file has several (transfer.Config.WindowSize), and a file has at most
// Options.MaxParts.
//
// Overwrite policies other than REPLACE are checked twice: at Create with HeadObject, and at Commit by the server, with
// If-None-Match: *. Amazon S3 and MinIO document it; versitygw and gofakes3 are tested to honour it for both kinds of
// delivery. A server that refuses it (Backblaze B2: 501 NotImplemented) makes Commit fail with
// UnsupportedOperationError unless Options.NoConditionalWrites is set; one that ignores it leaves only the first check,
// which can lose a race.
//
// # Checksums
//
// On AWS, PutObject carries x-amz-checksum-sha256, from the sum that was computed anyway, and each part a CRC32, of
// which S3 makes one for the whole object. Other servers get no checksum header (see [Compat]). The signature covers
// the body of every PutObject, at no cost, and of parts over http; parts over https are left to TLS (see [Payload]).
//
// # Permissions
//
//   - s3:GetObject to read; s3:GetObjectVersion too where the bucket has versions, without which the ETag alone pins
//   - s3:ListBucket, so that a missing object is FileNotFound and not PermissionDenied
//   - s3:PutObject to deliver; s3:GetObject too for overwrite policies other than REPLACE, to look before the transfer
//   - s3:AbortMultipartUpload and s3:ListMultipartUploadParts for files of several windows
//
// # What it leaves behind
//
// Nothing but the objects, if each delivery ends with Commit or Abort. A multipart upload whose process died before its
// Checkpoint was stored is found by nobody: it is invisible and costs storage. Give every bucket a lifecycle rule
// (AbortIncompleteMultipartUpload) some days longer than the longest pause of a transfer.
package s3x
