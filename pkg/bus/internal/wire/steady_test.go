package wire_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/bustest"
)

// The client library has two APIs, each with errors of its own: watches of buckets use the older one.
func TestAgainRepeatsTemporaryErrorsOfBothAPIs(t *testing.T) {
	c := bustest.Start(t).Conn()
	for _, x := range []struct {
		err  error
		want bool
	}{
		{jetstream.ErrJetStreamNotEnabled, true}, {nats.ErrJetStreamNotEnabled, true}, {nats.ErrNoResponders, true}, {nats.ErrTimeout, true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10008}, true}, {&nats.APIError{Code: 503, ErrorCode: 10008}, true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10009}, true}, {&nats.APIError{Code: 503, ErrorCode: 10009}, true},
		{jetstream.ErrJetStreamNotEnabledForAccount, false}, {nats.ErrJetStreamNotEnabledForAccount, false},
		{jetstream.ErrConsumerNotFound, false}, {nats.ErrConsumerNotFound, false}, {errors.New("other"), false},
	} {
		tries := 0
		_, err := wire.Again(t.Context(), c, func(context.Context) (int, error) {
			if tries++; tries < 3 {
				return 0, fmt.Errorf("list bucket: %w", x.err)
			}
			return 1, nil
		})
		if (err == nil) != x.want || (tries == 3) != x.want {
			t.Errorf("%T %v: %d tries, then %v", x.err, x.err, tries, err)
		}
	}
}
