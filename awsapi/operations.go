package awsapi

import "context"

// operation answers one of AWS's operations.
type operation struct {
	newRequest func() any // a pointer to the wire type
	do         func(ctx context.Context, h *handler, request any) (any, error)
}

// operations are those that there are, by name.
var operations = map[string]operation{
	"StartFileTransfer":       serve((*handler).startFileTransfer),
	"ListFileTransferResults": serve((*handler).listFileTransferResults),
	"StartDirectoryListing":   serve((*handler).startDirectoryListing),
	"StartRemoteDelete":       serve((*handler).startRemoteDelete),
	"StartRemoteMove":         serve((*handler).startRemoteMove),
	"CreateConnector":         serve((*handler).createConnector),
	"UpdateConnector":         serve((*handler).updateConnector),
	"DescribeConnector":       serve((*handler).describeConnector),
	"ListConnectors":          serve((*handler).listConnectors),
	"DeleteConnector":         serve((*handler).deleteConnector),
	"TestConnection":          serve((*handler).testConnection),
}

// empty is the answer of an operation that has none: a body of no bytes.
type empty struct{}

// serve makes an operation of a method. An answer that is nil has no body.
func serve[In, Out any](do func(*handler, context.Context, *In) (*Out, error)) operation {
	return operation{
		newRequest: func() any { return new(In) },
		do: func(ctx context.Context, h *handler, request any) (any, error) {
			out, err := do(h, ctx, request.(*In))
			if err != nil || out == nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// parse reads a request and compares it with AWS's model.
func (o operation) parse(body []byte, strict bool) (any, error) {
	request := o.newRequest()
	if err := decode(body, request); err != nil {
		return nil, err
	}
	if err := check(request, strict); err != nil {
		return nil, err
	}
	return request, nil
}

// value is what an optional member says, or else the zero value: a member that is absent and its default are the same
// to the Client.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
