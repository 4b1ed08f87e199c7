package httpsender

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
)

// NewSender makes the delivery.Sender of a service alone, without broker and configuration.
func NewSender(t testing.TB, o Options, customFields ...string) delivery.Sender {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	guard, err := egress.NewGuard(o.AllowEgress, o.OwnServices)
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(o, guard, "1.2.3", func() []string { return customFields })
	t.Cleanup(s.close)
	return s
}
