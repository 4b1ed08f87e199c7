package detail

import (
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery/addresses"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// addresses returns the outcome of a delivery at each address that its recipient has now. Records have hashes of addresses, so those
// that the recipient no longer has are left out. A recipient without addresses, or one that is gone, has none.
func (s *Reader) addresses(recipientID string, records []deliverylog.StoredRecord) []*outboundv1.AddressOutcome {
	r, ok := s.Config.Recipient(recipientID)
	if !ok || len(r.Addresses()) == 0 {
		return nil
	}
	var progress addresses.List
	for i := len(records) - 1; i >= 0; i-- {
		if len(records[i].Progress) > 0 {
			progress = addresses.Read(records[i].Progress)
			break
		}
	}
	var out []*outboundv1.AddressOutcome
	for _, a := range progress.Of(r.ID, r.Addresses()) {
		code := int32(min(max(a.Code, 0), 999)) //nolint:gosec // three digits
		out = append(out, &outboundv1.AddressOutcome{Address: a.Address, State: string(a.State), Code: code})
	}
	return out
}
