// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652) as far as AS2 (RFC 4130) needs it: signatures
// (SignedData), encryption (EnvelopedData, and AuthEnvelopedData of RFC 5083), and compression (CompressedData of
// RFC 3274). It uses the standard library alone.
//
// Contents stream: none is ever held in memory whole, only what stands around it (recipients, certificates, signatures),
// up to [Limits].Header bytes. What is written has definite lengths (DER) wherever the size is known before; what is
// read may be BER in any of its forms, with indefinite lengths and octet strings in pieces.
//
// # Signing
//
// The caller hashes the content as it passes, because that hash is AS2's message integrity check as well. [Sign] takes
// the digest and returns a detached signature. [ReadSigned] reads a signature, detached or around its content, and
// [Signed.Verify] checks it against certificates that the caller trusts; chains of certificates are the caller's.
//
// # Encryption
//
// [Encrypt] returns a writer for the content; [EncryptedSize] says before how long the result will be. [Decrypt] returns
// the content as a reader. What it returns is unverified until the reader ends with io.EOF, and must not be shown to
// anybody before. A content that cannot be decrypted ends with [ErrDecrypt] whatever the reason, after all of the input
// was read. A wrong key may, once in 256 times, give garbage in place of an error (the price of not telling a partner's
// key from a random one); a caller answers both alike.
//
// # Compression
//
// [Compress] returns a writer whose result has an indefinite length. Who has the zlib data already, and so its size, puts
// [CompressedHeader] before it. [Decompress] returns the content, up to [Limits].Content bytes.
package cms
