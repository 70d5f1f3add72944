package otelx

import (
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"

	"github.com/seed62b9dc43/transfer/store"
)

// Attributes of metrics, and of spans.
const (
	connectorID     = attribute.Key("transfer.connector.id")
	direction       = attribute.Key("transfer.direction")
	outcome         = attribute.Key("transfer.outcome")
	phase           = attribute.Key("transfer.phase")
	fileState       = attribute.Key("transfer.file.state")
	breakerState    = attribute.Key("transfer.breaker.state")
	connectionState = attribute.Key("transfer.connection.state")
	operationName   = attribute.Key("transfer.operation.name")
	storeOperation  = attribute.Key("transfer.store.operation")
	sinkName        = attribute.Key("transfer.sink.name")
	errorType       = attribute.Key("error.type") // OpenTelemetry's
	failureCode     = attribute.Key("transfer.failure.code")
)

// Attributes of spans alone.
const (
	transferID      = attribute.Key("transfer.id")
	fileID          = attribute.Key("transfer.file.id")
	files           = attribute.Key("transfer.file.count")
	fileSize        = attribute.Key("transfer.file.size")
	filePathSource  = attribute.Key("transfer.file.source")
	filePathTarget  = attribute.Key("transfer.file.target")
	followID        = attribute.Key("transfer.follow.id")
	ruleName        = attribute.Key("transfer.rule.name")
	taskName        = attribute.Key("transfer.task.name")
	attemptNumber   = attribute.Key("transfer.attempt.number")
	retryDelay      = attribute.Key("transfer.retry.delay")
	queueWait       = attribute.Key("transfer.queue.wait_time")
	bytesMoved      = attribute.Key("transfer.io")
	serverAddress   = attribute.Key("server.address")        // OpenTelemetry's
	serverPort      = attribute.Key("server.port")           // likewise
	networkProtocol = attribute.Key("network.protocol.name") // likewise
)

var directions = map[store.Direction]string{store.Send: "send", store.Retrieve: "retrieve"}

// server says where a connector leads, as far as its URL does.
func server(location string) (attrs []attribute.KeyValue) {
	u, err := url.Parse(location)
	if err != nil {
		return nil
	}
	if u.Scheme != "" {
		attrs = append(attrs, networkProtocol.String(u.Scheme))
	}
	if host := u.Hostname(); host != "" {
		attrs = append(attrs, serverAddress.String(host))
	}
	if port, err := strconv.Atoi(u.Port()); err == nil {
		attrs = append(attrs, serverPort.Int(port))
	}
	return attrs
}
