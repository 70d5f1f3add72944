// Package as2x exchanges files with partners over AS2 (RFC 4130): signed and encrypted messages over HTTP, each answered
// by a signed receipt (MDN) that holds the digest of what arrived.
//
// # Sending
//
// [New] makes a transfer.Connector of a [Config], which has every value of AWS's As2ConnectorConfig and what AWS leaves
// out: pinned and mutual TLS, certificates in rotation, retries. A file is compressed, signed and encrypted, in this order,
// and posted; it is COMPLETED once the partner's MDN was found to be right: the HTTP status, the form, the signature, the
// message it answers, the disposition, and the digest (MIC), in this order. With asynchronous MDNs it stays IN_PROGRESS
// until one comes to the [Receiver], or the deadline passes. All attempts at a file send one Message-ID and one MIC, so that
// a partner who missed nothing delivers once. Retrieving is not part of AS2: such files fail with
// UNSUPPORTED_OPERATION_ERROR. A partner gets a file's name and no path: RemoteDirectoryPath and Overwrite mean nothing.
//
// [Protocol] makes the same of definitions in a Store (transfer.Client.CreateConnector), where AWS's As2ConnectorConfig names
// profiles that the program has.
//
// With Config.Results, two files are written beside each file sent, as AWS does:
// processed/NAME.TRANSFERID.MESSAGEID.EXT.json and .mdn, or the same in failed/.
//
// # Receiving
//
// A [Receiver] is an http.Handler for messages and asynchronous MDNs. Each [Agreement] says who may send to whom, what
// must be signed and encrypted (everything, by default), and where files go. A file becomes visible only after the whole
// message was decrypted, verified and decompressed. A message that comes again gets the MDN of the first time and is not
// delivered again. Every reason for which a message cannot be decrypted gets the same answer.
//
// # Memory and disk
//
// Nothing is held in memory whole but what fits into one window. Larger files pass through temporary files without a name
// (Config.SpoolDir, Receiver's SpoolDir), in plain text, which end with the process.
package as2x
