package transfer

// The failure codes that AWS publishes for AS2, under their published names (AWS Transfer Family User Guide, "Monitoring
// AS2 usage"), as far as they can come up; the others are errors of as2x.New, or have a code of SFTP connectors.
const (
	EncryptionFailed        Code = "ENCRYPTION_FAILED"
	SigningFailed           Code = "SIGNING_FAILED"
	EncryptKeyNotFound      Code = "ENCRYPT_FAILED_NO_ENCRYPTION_KEY_FOUND" // no certificate of the partner's is valid now
	SigningKeyNotFound      Code = "SIGNING_FAILED_NO_SIGNING_KEY_FOUND"    // no certificate of ours is valid now
	FileSizeTooLarge        Code = "FILE_SIZE_TOO_LARGE"
	UnableToResolveHostname Code = "UNABLE_TO_RESOLVE_HOSTNAME"
	UnableToConnect         Code = "UNABLE_TO_CONNECT_TO_REMOTE_HOST_OR_IP"
	HTTPErrorResponse       Code = "HTTP_ERROR_RESPONSE_FROM_PARTNER"
	CredentialsFailed       Code = "CREDENTIALS_RETRIEVAL_FAILED"
	VerificationFailed      Code = "VERIFICATION_FAILED" // of an MDN's signature or MIC, or of a received message
	VerificationKeyNotFound Code = "VERIFICATION_FAILED_NO_MATCHING_KEY_FOUND"
	MDNAuthenticationFailed Code = "MDN_RESPONSE_INDICATES_AUTHENTICATION_FAILED"
	MDNDecompressionFailed  Code = "MDN_RESPONSE_INDICATES_DECOMPRESSION_FAILED"
	MDNDecryptionFailed     Code = "MDN_RESPONSE_INDICATES_DECRYPTION_FAILED"
	MDNInsufficientSecurity Code = "MDN_RESPONSE_INDICATES_INSUFFICIENT_MESSAGE_SECURITY"
	MDNIntegrityCheckFailed Code = "MDN_RESPONSE_INDICATES_INTEGRITY_CHECK_FAILED"
	DecryptFailed           Code = "DECRYPT_FAILED"
	DecompressionFailed     Code = "DECOMPRESSION_FAILED"
	InsufficientUnencrypted Code = "INSUFFICENT_MESSAGE_SECURITY_UNENCRYPTED" // AWS's spelling
	InvalidRequest          Code = "INVALID_REQUEST"
)

// Failure codes of AS2 for which AWS has none.
const (
	MDNTimeout            Code = "MDN_TIMEOUT"   // no asynchronous MDN came in time
	MDNMissing            Code = "MDN_MISSING"   // the answer has none
	MDNUnsigned           Code = "MDN_UNSIGNED"  // a signed one was asked for
	MDNMalformed          Code = "MDN_MALFORMED" // or for another message
	MDNUnexpectedError    Code = "MDN_RESPONSE_INDICATES_UNEXPECTED_PROCESSING_ERROR"
	MDNDuplicate          Code = "MDN_RESPONSE_INDICATES_DUPLICATE"
	MDNFailure            Code = "MDN_RESPONSE_INDICATES_FAILURE"
	InsufficientUnsigned  Code = "INSUFFICIENT_MESSAGE_SECURITY_UNSIGNED" // a received message
	HTTPServerError       Code = "HTTP_SERVER_ERROR"                      // an HTTP status that may pass; published as HTTP_ERROR_RESPONSE_FROM_PARTNER
	TLSCertificateRefused Code = "TLS_CERTIFICATE_REFUSED"                // by us or by the partner; published as UNABLE_TO_CONNECT_TO_REMOTE_HOST_OR_IP
)

// as2Codes are published as they are; the values are their names in Waarp's vocabulary.
var as2Codes = map[Code]string{
	EncryptionFailed: "TransferError", SigningFailed: "TransferError", EncryptKeyNotFound: "BadAuthent",
	SigningKeyNotFound: "BadAuthent", FileSizeTooLarge: "SizeNotAllowed", UnableToResolveHostname: "NotKnownHost",
	UnableToConnect: "ConnectionImpossible", HTTPErrorResponse: "RemoteError", CredentialsFailed: "BadAuthent",
	VerificationFailed: "MD5Error", VerificationKeyNotFound: "BadAuthent", MDNAuthenticationFailed: "BadAuthent",
	MDNDecompressionFailed: "RemoteError", MDNDecryptionFailed: "RemoteError", MDNInsufficientSecurity: "BadAuthent",
	MDNIntegrityCheckFailed: "MD5Error", DecryptFailed: "TransferError", DecompressionFailed: "TransferError",
	InsufficientUnencrypted: "BadAuthent", InvalidRequest: "TransferError", MDNTimeout: "Disconnection",
	MDNMissing: "RemoteError", MDNUnsigned: "BadAuthent", MDNMalformed: "RemoteError", MDNUnexpectedError: "RemoteError",
	MDNDuplicate: "RemoteError", MDNFailure: "RemoteError", InsufficientUnsigned: "BadAuthent",
	HTTPServerError: "RemoteError", TLSCertificateRefused: "BadAuthent",
}
