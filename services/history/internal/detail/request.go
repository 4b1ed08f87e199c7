package detail

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

const (
	noteGone    = "The event is no longer stored, so the request can't be reconstructed."
	noteUnsent  = "Nothing was sent."
	noteAsNow   = "Not sent yet. This is what would be sent now."
	noteMail    = "Reconstructed from revision %d of the recipient; shared settings, such as the sender address, are current values."
	noteRequest = "Reconstructed from revision %d of the recipient; custom fields are current values."
)

// showRequest adds what the last attempt sent, rendered again, or a note why it can't be.
func (s *Reader) showRequest(ctx context.Context, to *outboundv1.DeliveryDetail, e *event.Event, sent *deliverylog.StoredRecord) error {
	switch {
	case sent == nil:
		to.RequestNote = noteUnsent
		return nil
	case e == nil:
		to.RequestNote = noteGone
		return nil
	}
	r, err := s.revisionOf(ctx, sent)
	if err != nil {
		return err
	}
	if r == nil {
		to.RequestNote = fmt.Sprintf("Revision %d of the recipient is no longer stored, so the request can't be reconstructed.", sent.Revision)
		return nil
	}
	at := sent.Accepted
	if sent.LastAttempt != nil {
		at = *sent.LastAttempt
	}
	s.show(to, &delivery.Delivery{
		Recipient: r, Event: e, ReplayID: sent.ReplayID, Test: sent.Test, Actor: sent.Actor, Accepted: sent.Accepted, Attempt: sent.Attempt,
	}, render.PreviewOptions{At: at, Sent: true})
	return nil
}

// showWaiting adds what would be sent now.
func (s *Reader) showWaiting(to *outboundv1.DeliveryDetail, e *event.Event) {
	r, ok := s.Config.Recipient(to.GetDelivery().GetRecipientId())
	if !ok {
		to.RequestNote = "The recipient no longer exists."
		return
	}
	accepted := to.GetDelivery().GetAcceptTime().AsTime()
	s.show(to, &delivery.Delivery{Recipient: r, Event: e, Accepted: accepted, Attempt: 1}, render.PreviewOptions{At: s.Bus.Now()})
	if to.GetRequest() != nil {
		to.RequestNote = noteAsNow
	}
}

// show adds the request of a delivery, or a note why it can't be rendered.
func (s *Reader) show(to *outboundv1.DeliveryDetail, d *delivery.Delivery, o render.PreviewOptions) {
	settings := s.Config.Settings()
	if d.Recipient.Email != nil {
		m, err := mailOf(d, settings, o.At)
		if err != nil {
			to.RequestNote = "The email can't be reconstructed: " + err.Error() + "."
			return
		}
		to.Request, to.RequestNote = &outboundv1.DeliveryDetail_Email{Email: m}, fmt.Sprintf(noteMail, d.Recipient.Revision)
		return
	}
	o.UserAgent, o.Custom, o.Test = "Outbound/"+s.Version, settings.CustomFields, d.Test
	p, err := render.PreviewHTTP(d.Recipient, d.Event, o)
	if err != nil {
		to.RequestNote = "The request can't be reconstructed: " + err.Error() + "."
		return
	}
	h := &outboundv1.HttpPreview{Method: p.Method, Url: p.URL, Body: protofield.Text(string(p.Body))}
	for _, x := range p.Headers {
		h.Headers = append(h.Headers, &outboundv1.Header{Name: x.Name, Value: x.Value})
	}
	to.Request, to.RequestNote = &outboundv1.DeliveryDetail_Http{Http: h}, fmt.Sprintf(noteRequest, d.Recipient.Revision)
}

// mailOf renders the mail to an email recipient, sent at a time.
func mailOf(d *delivery.Delivery, settings *settings.Settings, at time.Time) (*outboundv1.MailPreview, error) {
	addresses := d.Recipient.Email.Addresses
	if len(addresses) == 0 {
		return nil, fmt.Errorf("recipient %s has no address", d.Recipient.ID)
	}
	m := mime.OfDelivery(d, settings, addresses[0], at)
	out := &outboundv1.MailPreview{
		To: addresses, Subject: protofield.Text(m.Text.Subject), Text: protofield.Text(m.Text.Body), Html: protofield.Text(m.Text.HTML),
	}
	if m.From == "" {
		return out, nil // no relay is set, so there is no mail yet, but its text
	}
	out.From = mime.From(m)
	l, err := mime.Write(m)
	if err != nil {
		return nil, err
	}
	out.Source = protofield.Text(string(l.Data))
	return out, nil
}

// revisionsRead is how many changes of a recipient are read to find a revision; the bucket keeps 64.
const revisionsRead = 64

// revisionOf returns the recipient as it was in an attempt; nil if that revision is no longer kept. A recipient that was created again
// with the same id counts its revisions from 1 again: of several revisions, the last one before the record is the right one.
func (s *Reader) revisionOf(ctx context.Context, sent *deliverylog.StoredRecord) (*recipient.Recipient, error) {
	bucket, err := s.Bus.Bucket(ctx, bus.BucketRecipients)
	if err != nil {
		return nil, err
	}
	changes, err := bucket.Changes(ctx, recipientKey(sent.Recipient), 0, revisionsRead)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		var stored outboundv1.StoredRecipient
		if c.Removed || c.Time.After(sent.Time) || proto.Unmarshal(c.Value, &stored) != nil || stored.GetRevision() != sent.Revision {
			continue
		}
		return configclient.DecodeRecipient(&stored, nil)
	}
	return nil, nil
}

// recipientKey is the key of a recipient in its bucket.
func recipientKey(id string) string { return "r." + id }
