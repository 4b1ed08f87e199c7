package detail

import (
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// addresses tell what has become of a delivery at each address that its recipient has now. Records name addresses by hash, so those
// that it has no more are not told. Nothing is told of a recipient that is not an email recipient, or is gone.
func (s *Reader) addresses(recipientID string, records []bus.StoredRecord) []*outboundv1.AddressOutcome {
	r, ok := s.Config.Recipient(recipientID)
	if !ok || r.Email == nil {
		return nil
	}
	var progress delivery.Addresses
	for i := len(records) - 1; i >= 0; i-- {
		if len(records[i].Progress) > 0 {
			progress = delivery.ReadAddresses(records[i].Progress)
			break
		}
	}
	var out []*outboundv1.AddressOutcome
	for _, a := range progress.Of(r.ID, r.Email.Addresses) {
		out = append(out, &outboundv1.AddressOutcome{Address: a.Address, State: string(a.State), Code: int32(min(max(a.Code, 0), 999))}) //nolint:gosec // three digits
	}
	return out
}
