package detail

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/preview"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	noteGone   = "The event is no longer stored, so the request can't be reconstructed."
	noteUnsent = "Nothing was sent."
	noteAsNow  = "Not sent yet. This is what would be sent now."
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
		Number: sent.Number,
	}, preview.Options{At: at, Sent: true})
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
	s.show(to, &delivery.Delivery{Recipient: r, Event: e, Accepted: accepted, Attempt: 1}, preview.Options{At: s.Bus.Now()})
	if to.GetRequest() != nil {
		to.RequestNote = noteAsNow
	}
}

// show adds the request of a delivery, or a note why it can't be rendered.
func (s *Reader) show(to *outboundv1.DeliveryDetail, d *delivery.Delivery, o preview.Options) {
	o.Version = s.Version
	words := preview.WordsOf(d.Recipient)
	if err := preview.Into(to, d, s.Config.Settings(), o); err != nil {
		to.RequestNote = fmt.Sprintf("The %s can't be reconstructed: %s.", words.Noun, err)
		return
	}
	to.RequestNote = fmt.Sprintf("Reconstructed from revision %d of the recipient; %s.", d.Recipient.Revision, words.Current)
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
