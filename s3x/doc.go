// Package s3x is a [transfer.Storage] over Amazon S3 and the servers that speak its protocol (MinIO, Ceph, R2, …).
//
//	client := s3.NewFromConfig(cfg)
//	storage, err := s3x.New(client, s3x.Options{})                             // paths are /bucket/key
//	storage, err := s3x.New(client, s3x.Options{Bucket: "b", Prefix: "inbox"}) // paths are keys below inbox/
//
// # Reading
//
// Open asks for the first 8 MiB of an object (GetObject) and pins the version that it gets: the answer says size and ETag.
// An object of that size takes no other request, except an empty one, which takes a HeadObject. What follows is asked for
// by ranged GetObjects with If-Match, and with the version id where the bucket has versions. An object that was replaced
// or deleted is [transfer.SourceChanged], also on servers that ignore If-Match, unless its bytes are on their way
// already: those are of the pinned version.
//
// From a server that gives 100 MiB/s on one connection, windows in order are read from one answer of up to 64 MiB. From
// others, and where windows do not come in order, each has a request of its own, Options.PartConcurrency at once. A body
// that breaks off goes on from where it stopped. Where it does so between windows, because a slow partner left it unread
// for long, that counts for nothing.
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
// # Directories
//
// There are none: what is below "in/" is in the directory "in", and when nothing is any more, it is gone. A listing costs
// a request for each 1,000 names. A move copies the object on the server and removes it then; if the process dies in
// between, both are there, and the next attempt says FileExists. CopyObject carries If-None-Match: *, too; versitygw and
// gofakes3 do not look at it there, so that an object which appears in that moment is replaced. Objects of more than 5 GiB are copied in parts. Tags of
// those are lost, and a multipart upload may be left behind as below.
//
// # Integrity
//
// On AWS, PutObject carries x-amz-checksum-sha256, from the sum that was computed anyway, and each part of an upload a
// CRC64NVME. CompleteMultipartUpload carries that of the whole object, which S3 compares with what it makes of the
// parts, and keeps (ChecksumType FULL_OBJECT). Other servers get no checksum header unless Options.Checksum asks for it
// (see [Compat]); versitygw is tested to compare all of them, gofakes3 takes them and looks away. The signature covers
// the body of every PutObject, at no cost, and of parts over http; parts over https are left to TLS (see [Payload]).
//
// Bytes that a server refuses because they are not those of the checksum are sent three times; then, and if the object
// as a whole is another one, the file fails with [transfer.IntegrityError].
//
// # Faults
//
// The client's Retryer sends a request again that got no answer, a 5xx or a refusal to hurry; three times by default. A
// body that breaks off in the middle of a window is asked for again from there, up to three times a window. A request of
// which nothing comes or goes for Options.StallTimeout is given up and counts as one that got no answer. So each ends,
// with PartnerBusy (503, 429), ConnectionError (other 5xx), ConnectionLost, Stalled and the like, all of which are
// retryable; PermissionDenied, AuthenticationFailed and PathNotFound (no such bucket) are not.
//
// # Speed
//
//   - Let the client keep connections: [WithConnections]. The SDK keeps 10.
//   - Over http, PayloadUnsigned saves the SHA-256 of every part, about 0.7 s of processor time for 1 GiB; do it only
//     where the way to the server is trusted, and with a Checksum, which is nearly free.
//   - A server that keeps a checksum of its own choice for parts that come with none computes it itself. versitygw
//     needs up to a fifth less processor time for an upload whose parts come with ChecksumCRC32.
//
// # Permissions
//
//   - s3:GetObject to read; s3:GetObjectVersion too where the bucket has versions, without which the ETag alone pins
//   - s3:ListBucket, so that a missing object is FileNotFound and not PermissionDenied
//   - s3:PutObject to deliver; s3:GetObject too for overwrite policies other than REPLACE, to look before the transfer
//   - s3:AbortMultipartUpload and s3:ListMultipartUploadParts for files of several windows
//   - s3:ListBucket for directories; s3:DeleteObject to remove and to move, and to move s3:GetObject and s3:PutObject, also
//     s3:GetObjectTagging and s3:PutObjectTagging where objects have tags
//   - s3:ListBucketMultipartUploads for AbortUploads
//
// # What it leaves behind
//
// Nothing but the objects, if each delivery ends with Commit or Abort. A multipart upload whose process died before its
// Checkpoint was stored is known to nobody: it is invisible and costs storage. A later attempt cannot look for it, because
// nothing that S3 lists of an upload tells whose it is: key, id, time and account, but neither metadata nor tags, and a
// part's ETag only that somebody sends the same bytes, perhaps at this moment. So give every bucket a lifecycle rule some
// days longer than the longest pause of a transfer,
//
//	{"ID": "uploads", "Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
//
// or, on servers without them, call AbortUploads now and then.
package s3x
