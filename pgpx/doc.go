// Package pgpx encrypts and decrypts files on their way, with OpenPGP (RFC 9580 and 4880), over
// github.com/ProtonMail/go-crypto:
//
//	encrypt, err := pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{theirPublicKey}, Signer: ourPrivateKey})
//	…
//	cfg.Rules = map[string]transfer.Rule{"to-bank": {Transforms: []transfer.Transform{encrypt}}}
//
// Content streams through; nothing of it is on disk. What is decrypted is published only after all of it was read and
// found to be whole, and, where Signers are given, signed by one of them: until then there is nothing to see at the target.
//
// # What is refused
//
// Messages that are not encrypted, or have no integrity protection (MDC or AEAD); ciphers other than AES; signatures with
// MD5, RIPEMD-160 or SHA-1; RSA keys below 2,048 bits, DSA, ElGamal and the curve secp256k1; keys that are expired or
// revoked, but for decryption, which old keys are kept for. What was encrypted with a password alone is not read.
//
// # Memory
//
// A file takes what its windows take (transfer.Config.MemoryBudget), and up to 8 MiB beside that, for one AEAD chunk and
// for what precedes the content.
package pgpx
