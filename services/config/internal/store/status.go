package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// AsStatus turns an error of the broker into the answer UNAVAILABLE. An error that has a gRPC status keeps it. If ctx has ended, the
// answer is that; pkg/rpc words it.
func AsStatus(ctx context.Context, err error) error {
	var is interface{ GRPCStatus() *status.Status }
	if err == nil || errors.As(err, &is) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return rpc.Unavailable(err.Error() + ": try again in a moment")
}

// Backoff waits a random moment after a conflict, so that writers which met do not meet again.
func Backoff(ctx context.Context) { pause.For(ctx, rand.N(20*time.Millisecond)) }
