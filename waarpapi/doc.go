// Package waarpapi serves a transfer.Client to clients of Waarp R66's REST API, version 2, for the part of it that is
// about transfers:
//
//	GET  /v2/transfers               the list, or the count of it
//	GET  /v2/transfers/{id}          one transfer
//	POST /v2/transfers               start one, by the rules of Config
//	PUT  /v2/transfers/{id}/stop     pause it
//	PUT  /v2/transfers/{id}/restart  let it go on; one that failed is repeated under a new id
//	PUT  /v2/transfers/{id}/cancel   end it for good
//
// HEAD is served where GET is, OPTIONS everywhere. A transfer of that API is one file of this module. {id} is the file's
// id, followed or not by an underscore and the partner's name, as the record's URI has it.
//
// # What is as in Waarp, and what is not
//
// Where Waarp's published text and its server differ, the text counts: names of parameters and messages are the
// published ones, totalResults counts all matches and not those of the page, and offset is honoured.
//
// What a client of Waarp may notice besides: stop makes a transfer INTERRUPTED, not INERROR; a transfer that is INERROR is
// final, so that restart answers with the record of another one, which goes by transferURI too; a verb that the state
// forbids is refused; DELETE is not served; a limit above Config.MaxResults gets that many; cross-origin headers are not
// sent. The direction of a new transfer and its directories are its rule's. Its fileInfo becomes the metadata, of its
// transferInfo only follow is known, and its blockSize is an offer that is not taken up.
//
// # Authentication
//
// Basic, with user and password, or HMAC, if Config has a Key:
//
//	X-Auth-User:      <user>
//	X-Auth-Timestamp: <date of ISO 8601, in UTC where it has no offset>
//	Authorization:    HMAC hex(HMAC-SHA256(key, timestamp + user + password))
//
// A request may be signed besides. A signature that is wrong, or that cannot be checked, is answered with 401, and nothing
// else happens.
//
//	X-Auth-Signature: hex(HMAC-SHA256(key, Authorization header + body + URI + method))
//
// The URI is path and query as sent. A signed POST under HMAC authentication that arrives again, on whatever node, starts
// nothing and is answered with the same transfer: for another one, take another timestamp.
//
// # Mounting
//
// The handler bounds what a request may cost once its headers are read. Headers are read by the server, so give it limits
// too, and TLS: Basic authentication shows the password to the network, and HMAC can be repeated by whoever sees it.
//
//	handler, err := waarpapi.NewHandler(client, waarpapi.Config{
//		Users: waarpapi.StaticUsers{"monitor": {PasswordHash: "$2a$10$…", Roles: waarpapi.RoleRead}},
//	})
//	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
//
// # Errors
//
// Every answer that is not a success has the published body, {"errors":[{"message":…,"errorCode":…}]}. Codes are the
// published ones (4 illegal query parameter, 6 missing field, 7 illegal value, 10 unknown rule, …), and 0 where the
// status says it all. Statuses: 400 with everything that is wrong, 401, 403, 404, 405 with Allow, 406, 408, 413, 414, 415
// with Accept, 431, 500, 503 with Retry-After.
package waarpapi
