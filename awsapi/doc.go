// Package awsapi is an http.Handler that speaks the protocol of AWS Transfer Family's connectors, AWS JSON 1.1, in front of
// a [transfer.Client]. Programs that use AWS's SDKs or CLI work with it unchanged: their endpoint is the handler's URL
// (BaseEndpoint in Go, AWS_ENDPOINT_URL_TRANSFER in the environment).
//
// # Operations
//
// StartFileTransfer, ListFileTransferResults, StartDirectoryListing, StartRemoteDelete, StartRemoteMove, CreateConnector,
// UpdateConnector, DescribeConnector, ListConnectors, DeleteConnector and TestConnection. Any other is answered with
// UnknownOperationException.
//
// Requests are checked against AWS's published model, and what is outside of it is an InvalidRequestException in the words
// of AWS's services; which exception AWS itself gives there is not published. Config.Strict asks for AWS's limits where
// ours are wider. Some members mean less than with AWS:
//
//   - AccessRole, LoggingRole and IpAddressType have no effect; the roles are kept and returned.
//   - EgressConfig is refused.
//   - CustomHttpHeaders are at most 50, and refused for connectors that take none: all but AS2's.
//   - As2Config is the ProtocolConfig of a connector whose URL has another scheme than sftp, in AWS's JSON; a Protocol of
//     transfer.Config has to know it, such as as2x.Protocol. There are no operations for profiles and certificates: the
//     program gives them to that Protocol, under the ids that As2Config names.
//   - ResourceExistsException, which two operations model, is never given.
//
// # Signatures
//
// Requests must be signed with Signature Version 4, in headers. The signature has to cover the host, all X-Amz-* headers
// and the body, to be for the service "transfer" and, if Config.Region is set, for that region, and to be younger than
// Config.ClockSkew. Presigned requests are refused, as is every other query string. A proxy in front must leave the Host
// header and the path as they are; a path prefix may be cut off by http.StripPrefix.
//
// A signature protects neither the content from those who listen nor a request from being sent again within ClockSkew:
// serve TLS.
//
// # Retries
//
// AWS's StartFileTransfer has no client token, and there a call whose answer was lost starts another transfer when it is
// repeated. Here the attempts of one SDK call find the same transfer: they have the same signed header
// Amz-Sdk-Invocation-Id, which is the ClientToken of the transfer. A call that the program makes anew is another one, and
// CreateConnector makes another connector each time.
//
// # Limits
//
// The handler bounds what requests take: their bodies, alone and together, the time they take to arrive and to be
// answered, how many are worked on, and how many a second each key may make. Requests above a limit that may be repeated
// get a ThrottlingException with the time to wait. Its message, for which AWS's Go SDK has no field, is in the header
// X-Amzn-Error-Message as well. What comes before a request is whole is the server's: set ReadHeaderTimeout (10 s),
// IdleTimeout (1 min) and MaxHeaderBytes (16 KiB) of http.Server, and bound its connections, for example with
// golang.org/x/net/netutil.LimitListener. ReadTimeout and WriteTimeout can stay 0: the handler sets deadlines itself.
//
// # Events
//
// [Event] is a finished file in the shape of the events that AWS sends to EventBridge.
package awsapi
