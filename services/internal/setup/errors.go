package setup

import (
	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// BrokerErrors are the statuses of calls that fail because the broker does not answer: while it is away, while its store is opened again,
// or while a cluster elects a leader. Such a call can be repeated.
func BrokerErrors() []rpc.Row {
	var rows []rpc.Row
	for _, err := range bus.Unanswered() {
		rows = append(rows, rpc.Row{Is: err, Code: codes.Unavailable, Text: "the broker does not respond at the moment: try again"})
	}
	return rows
}
