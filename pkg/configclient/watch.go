package configclient

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// watchRecipients follows one stream until it breaks off.
func (c *Client) watchRecipients(ctx context.Context) (synced bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := &outboundv1.WatchRecipientsRequest{Channel: channelOf(c.o.Channel), Bookmarks: c.o.Bookmarks}
	stream, err := c.recipients.WatchRecipients(ctx, q)
	if err != nil {
		return false, err
	}
	snapshot := map[string]*recipient.Recipient{}
	var first *outboundv1.Bookmark
	for {
		m, err := stream.Recv()
		if err != nil {
			return synced, err
		}
		switch change := m.GetChange().(type) {
		case *outboundv1.WatchRecipientsResponse_Recipient:
			id := change.Recipient.GetRecipient().GetId()
			r := c.decode(ctx, change.Recipient)
			if synced {
				c.put(id, r)
			} else if r != nil {
				snapshot[id] = r
			}
		case *outboundv1.WatchRecipientsResponse_Removed:
			c.put(change.Removed, nil)
		case *outboundv1.WatchRecipientsResponse_Bookmark:
			if first = change.Bookmark; synced {
				c.mu.Lock()
				c.mark(first)
				c.mu.Unlock()
			}
		case *outboundv1.WatchRecipientsResponse_Synced:
			if !synced {
				c.replace(snapshot, first)
			}
			synced = true
		}
	}
}

// decode makes a recipient, or nil for one that can't be sent to as it is: its deliveries wait, and the log says why.
func (c *Client) decode(ctx context.Context, s *outboundv1.StoredRecipient) *recipient.Recipient {
	r, err := DecodeRecipient(s, c.o.Sealer)
	c.noteOpened(s, err)
	if err != nil {
		c.log.ErrorContext(ctx, "recipient not valid, its deliveries are held", telemetry.KeyRecipient, s.GetRecipient().GetId(),
			telemetry.KeyError, err.Error())
		return nil
	}
	return r
}

func (c *Client) put(id string, r *recipient.Recipient) {
	c.mu.Lock()
	if r == nil {
		delete(c.known, id)
		delete(c.shown, id)
	} else {
		c.known[id] = r
		c.shown[id] = withSharedLimits(r, c.now)
	}
	c.mu.Unlock()
	c.notify()
}

// replace replaces all recipients with those of a snapshot. The bookmark, if any, says how recent it is.
func (c *Client) replace(snapshot map[string]*recipient.Recipient, b *outboundv1.Bookmark) {
	c.mu.Lock()
	for id, r := range c.late {
		snapshot[id] = r
	}
	clear(c.late)
	c.known = snapshot
	c.show()
	c.mark(b)
	c.arrived(&c.gotRecipients)
	c.mu.Unlock()
	c.notify()
}

// show makes what callers see of what is known. The caller holds mu.
func (c *Client) show() {
	c.shown = make(map[string]*recipient.Recipient, len(c.known))
	for id, r := range c.known {
		c.shown[id] = withSharedLimits(r, c.now)
	}
}

// arrived counts a kind's first snapshot. The caller holds mu.
func (c *Client) arrived(got *bool) {
	if *got {
		return
	}
	*got = true
	if c.awaited--; c.awaited == 0 {
		close(c.ready)
	}
}

// watchSettings follows one stream until it breaks off. Each message is the whole state.
func (c *Client) watchSettings(ctx context.Context) (synced bool, err error) {
	q := watchRequest(c.o)
	ctx, wait := whileSameKeys(ctx, c.o.Sealer, q)
	defer wait()
	stream, err := c.settings.WatchSettings(ctx, q)
	if err != nil {
		return false, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(context.Cause(ctx), errOtherKeys) {
			return true, errOtherKeys
		}
		if err != nil {
			return synced, err
		}
		c.takeKeys(ctx, m.GetKeyring())
		s, err := DecodeSettings(m, c.o.Sealer)
		c.noteSettings(m, err)
		if err != nil {
			// What is known stays: half of the settings would be worse than the last ones.
			c.log.ErrorContext(ctx, "settings not valid, using the last valid ones", telemetry.KeyError, err.Error())
			continue
		}
		synced = true
		c.mu.Lock()
		c.now = s
		c.show()
		c.arrived(&c.gotSettings)
		c.mu.Unlock()
		c.notify()
	}
}

// withSharedLimits fills in what is the same for all recipients of a channel whose limits are in the settings, which is email: the
// retry, and that none uses more than a quarter of the connections to the relay, but always one.
func withSharedLimits(r *recipient.Recipient, s *settings.Settings) *recipient.Recipient {
	if d, _ := recipient.Describe(r.Channel()); !d.SharedLimits {
		return r
	}
	with := *r
	with.Retry = recipient.Retry{Interval: s.Email.RetryInterval, Duration: s.Email.RetryDuration}
	with.MaxInFlight = max(1, cmp.Or(s.SMTP.MaxConnections, settings.DefaultMaxConnections)/4)
	return &with
}

// Selects reports whether a request for recipients asks for those of a channel. A request without a channel, or with one that this
// version does not know, asks for all.
func Selects(q *outboundv1.WatchRecipientsRequest, ch recipient.Channel) bool {
	_, known := outboundv1.WatchRecipientsRequest_Channel_name[int32(q.GetChannel())]
	return !known || q.GetChannel() == outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED || q.GetChannel() == channelOf(ch)
}

// channelOf returns the value of the enumeration that is named after a channel, or CHANNEL_UNSPECIFIED if there is none.
func channelOf(ch recipient.Channel) outboundv1.WatchRecipientsRequest_Channel {
	n := outboundv1.WatchRecipientsRequest_Channel_value["CHANNEL_"+strings.ToUpper(string(ch))]
	return outboundv1.WatchRecipientsRequest_Channel(n)
}
