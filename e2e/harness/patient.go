package harness

import (
	"context"
	"errors"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// errSlow says that the broker's store is slow: the caller is asked to repeat.
var errSlow = errors.New("the store is slow")

// untilTaken calls again as long as the broker's store is slow, as every reply of that kind asks for. It gives up with the test's wait.
func untilTaken[V any](t T, call func() (V, error), slow func(V, error) bool) (v V, err error) {
	t.Helper()
	waittest.NoError(t, "the store to take something", func() error {
		if v, err = call(); slow(v, err) {
			return errSlow
		}
		return nil
	})
	return v, err
}

func refusedAsSlow(_ Reply, err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Code == "503"
}

// PublishUntilAccepted hands in an event over NATS, again with the same id as long as the broker's store is slow.
func (a *Appliance) PublishUntilAccepted(ctx context.Context, t T, e Event) (Reply, error) {
	t.Helper()
	return untilTaken(t, func() (Reply, error) { return a.Publish(ctx, e) }, refusedAsSlow)
}

// PostUntilAccepted hands in an event over HTTP, again with the same id as long as the broker's store is slow.
func (a *Appliance) PostUntilAccepted(t T, e Event) (Reply, error) {
	t.Helper()
	return untilTaken(t, func() (Reply, error) { return a.Post(e) }, refusedAsSlow)
}

// PostRawUntilAnswered hands in raw bytes over HTTP, again as long as the broker's store is slow.
func (a *Appliance) PostRawUntilAnswered(t T, raw []byte) (Answer, error) {
	t.Helper()
	return untilTaken(t, func() (Answer, error) { return a.PostRaw(raw) },
		func(x Answer, err error) bool { return err == nil && x.Status == http.StatusServiceUnavailable })
}

// RequestUntilAnswered hands in raw bytes over NATS, again as long as the broker's store is slow.
func (a *Appliance) RequestUntilAnswered(ctx context.Context, t T, eventType string, raw []byte) (*nats.Msg, error) {
	t.Helper()
	return untilTaken(t, func() (*nats.Msg, error) { return a.Request(ctx, eventType, raw) },
		func(m *nats.Msg, err error) bool {
			return err == nil && m.Header.Get("Nats-Service-Error-Code") == "503"
		})
}
