package emailsender

import (
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/settings"
)

// mailTo writes the mail of a delivery to one of its addresses, sent at a time: but for its date the same bytes at each attempt, while
// recipient and settings stay as they are. It is pure, and what a preview shows. An error means that the address, or the sender's, is none.
func mailTo(d *delivery.Delivery, s *settings.Settings, to string, at time.Time) (*mime.Email, error) {
	return mime.Write(mime.OfDelivery(d, s, to, at))
}
