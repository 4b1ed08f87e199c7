package config_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/lease"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// A config service that was frozen and has lost its lease writes nothing and touches no consumer, neither by a call nor by itself.
func TestAServiceWithoutItsLeaseChangesNothing(t *testing.T) {
	h := start(t)
	kept := h.create(httpRecipient("Kept"))
	h.stop()
	of := func(instance string) *lease.Lease {
		return lease.New(lease.Options{Conn: h.broker.Conn(), Name: "config", Self: lease.Holder{Instance: instance}, Lasts: 2 * time.Second})
	}
	frozen, next := of("frozen"), of("next")
	if err := frozen.Acquire(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := next.Acquire(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before, err := h.bucket(bus.BucketRecipients).Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What it would repair by itself: a recipient that has no consumer.
	if err := control.New(h.bus).DeleteConsumer(t.Context(), "http", kept.GetId()); err != nil {
		t.Fatal(err)
	}
	if err := frozen.Run(t.Context()); err == nil {
		t.Error("the lease was not lost")
	}
	h.hold = frozen.Hold
	h.run()
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("Late")})
	wantCode(t, err, codes.Unavailable)
	_, err = h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: kept.GetId()})
	wantCode(t, err, codes.Unavailable)
	if _, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: kept.GetId()}); err != nil {
		t.Errorf("it does not read: %v", err)
	}
	h.stop()
	after, err := h.bucket(bus.BucketRecipients).Revision(t.Context())
	if err != nil || after != before {
		t.Errorf("the bucket went from revision %d to %d, %v", before, after, err)
	}
	listed, err := control.New(h.bus).Consumers(t.Context())
	if err != nil || len(listed.Names()) != 0 {
		t.Errorf("the consumers are %v, %v", listed.Names(), err)
	}
	h.hold = nil
	h.run()
	h.eventually("the consumer", func() bool {
		listed, err := control.New(h.bus).Consumers(t.Context())
		return err == nil && len(listed.Names()) == 1
	})
}
