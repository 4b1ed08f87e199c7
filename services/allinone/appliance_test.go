package allinone_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// A stock client gives up for good after it was refused twice.
func TestAnApplianceIsNeverRefusedAcrossRestarts(t *testing.T) {
	o := options(t)
	r := start(t, o)
	a := r.appliance("a-1")
	for i := range 40 {
		r.recipient(fmt.Sprint("Tickets ", i), "http://127.0.0.1:9/", "")
	}
	o.NATS = r.at.NATS
	refused := make(chan error, 1)
	nc, err := nats.Connect(r.at.NATS, nats.UserInfo("a-1", a.Password), nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrAuthorization) {
				select {
				case refused <- err:
				default:
				}
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for range 6 {
		r.end()
		r = start(t, o)
		waittest.Until(t, "the appliance to be connected again", func() bool { return nc.IsConnected() || len(refused) > 0 })
	}
	select {
	case err := <-refused:
		t.Error(err)
	default:
	}
}
