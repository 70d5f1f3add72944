// Package awsapi is an http.Handler that speaks the protocol of AWS Transfer Family's connectors, AWS JSON 1.1, so that
// AWS's SDKs and CLI work with a transfer.Client unchanged: give them the handler's URL as their endpoint.
package awsapi
