// Package webhook delivers events of transfers to a receiver by HTTP: [New] makes a transfer.EventSink that POSTs each one
// as JSON, signed with HMAC-SHA256 in the form of the Standard Webhooks specification (version 1.0.0), which libraries for
// many languages verify. [Verify] does so for receivers in Go.
//
// A request has three headers. webhook-id is the event's ID, the same each time the event is delivered. webhook-timestamp
// is when this request was made, in seconds since 1970. webhook-signature has, for each secret, "v1," and the base64 of the
// HMAC of id, timestamp and body, joined by dots.
//
// # What the answer means
//
// A status from 200 to 299 takes the event. Any other answer, 410 Gone and redirects included, and none within
// Config.Timeout, leaves it: it comes again, after a while that grows to five minutes, for as long as it takes, because an
// event that is dropped for a wrong setting at the receiver is lost for good. With 429 and 503 a Retry-After is obeyed, up
// to 15 minutes. Config.Discard names answers by which the receiver may refuse an event for ever.
//
// An event may come more than once, such as when it was taken and the answer was lost: receivers remember IDs. Events
// of one file come in order.
//
// # Whom it calls
//
// The URL is the program's. Where users may choose it, they can make this process call what they cannot reach themselves:
// give Config.Client a Transport whose DialContext refuses private addresses, after the name was resolved. Redirects are
// not followed, in any case, and of what the receiver answers nothing but the status is shown to anybody.
package webhook
