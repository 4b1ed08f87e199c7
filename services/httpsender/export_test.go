package httpsender

import (
	"net"
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
	if s.proxy, err = egress.OpenProxy(o.Proxy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// NewSenderWith is NewSender with a name server of the test's own.
func NewSenderWith(t testing.TB, o Options, resolver *net.Resolver) delivery.Sender {
	t.Helper()
	s, _ := NewSender(t, o).(*sender)
	s.resolver = resolver
	return s
}
