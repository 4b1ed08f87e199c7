package eventnumbers

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// readAtOnce is how many messages of EVENTS are read at once.
const readAtOnce = 500

// Changes knows what recipients select by what EVENTS says, and changes it there. Its methods may be called concurrently.
type Changes struct {
	conn *wire.Conn

	mu sync.Mutex
	// connects is the connection on which known was begun; 0: it was not.
	connects uint64
	known    numbering.Selections
	// seen is the last sequence of EVENTS whose change is in known.
	seen uint64
}

// NewChanges reads and writes through a connection.
func NewChanges(c *wire.Conn) *Changes { return &Changes{conn: c} }

// Selection is which events have a number for a recipient, as it is now.
func Selection(r *recipient.Recipient) numbering.Selection {
	return numbering.NewSelection(r.EventTypes, names.FilterAppliances(r))
}

// Selected is what EVENTS says that a recipient selects; ok is false if it says nothing, or of an earlier recipient with the id.
func (x *Changes) Selected(ctx context.Context, r *recipient.Recipient) (s numbering.Selection, ok bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.refresh(ctx); err != nil {
		return s, false, fmt.Errorf("look up what recipient %s selects: %w", r.ID, err)
	}
	s, ok = x.selected(r)
	return s, ok, nil
}

// Known is Selected as far as was read.
func (x *Changes) Known(r *recipient.Recipient) (numbering.Selection, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.selected(r)
}

// Refresh reads what EVENTS says meanwhile.
func (x *Changes) Refresh(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.refresh(ctx); err != nil {
		return fmt.Errorf("look up what recipients select: %w", err)
	}
	return nil
}

func (x *Changes) selected(r *recipient.Recipient) (numbering.Selection, bool) {
	m, ok := x.known[numbering.Of(string(r.Channel()), r.ID)]
	return m.Selection, ok && m.Start == r.StartSequence
}

// Select has a recipient select other events from now on, unless EVENTS says so already.
func (x *Changes) Select(ctx context.Context, r *recipient.Recipient, s numbering.Selection) error {
	return x.put(ctx, r, numbering.Change{Selection: s})
}

// End says that a recipient is gone.
func (x *Changes) End(ctx context.Context, r *recipient.Recipient) error {
	return x.put(ctx, r, numbering.Change{Ended: true})
}

// maxTries is how often a change is tried that others are faster than.
const maxTries = 20

func (x *Changes) put(ctx context.Context, r *recipient.Recipient, c numbering.Change) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c.Channel, c.Recipient, c.Start = string(r.Channel()), r.ID, r.StartSequence
	for range maxTries {
		if err = x.refresh(ctx); err != nil {
			break
		}
		was, has := x.selected(r)
		if c.Ended && !has || !c.Ended && has && was.Equal(c.Selection) {
			return nil
		}
		if c.Before = nil; has {
			c.Before = &was
		}
		if err = x.publish(ctx, c); !wire.WrongSequence(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("store what recipient %s selects: %w", r.ID, err)
	}
	return nil
}

// changeBody is the body of a change: an event that nobody selects. Who reads EVENTS message by message reads it as that, also in a release
// that does not know of changes.
const changeBody = `{"specversion":"1.0","id":"selection","source":"outbound","type":"outbound.selection","time":"2026-11-29T00:00:00Z"}`

// publish stores a change behind the last one. Of two who do that at once one is refused, and looks again.
func (x *Changes) publish(ctx context.Context, c numbering.Change) error {
	text, err := c.Encode()
	if err != nil {
		return err
	}
	last, err := x.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{LastFor: names.SubjectSelection})
	if err != nil {
		return err
	}
	expected := uint64(0)
	if len(last) == 1 {
		expected = wire.StoredSequence(last[0])
	}
	m := nats.NewMsg(names.SubjectSelection)
	m.Data = []byte(changeBody)
	m.Header.Set(names.HeaderMsgID, "selection/"+strconv.FormatUint(expected, 10)+"/"+nuid.Next())
	m.Header.Set(names.HeaderSelection, text)
	if expected > x.seen { // somebody was faster: what is published now would not be what follows from it
		return &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence, Description: "another change was faster"}
	}
	ack, err := x.conn.JS.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(expected))
	if err != nil {
		return err
	}
	if err := x.conn.Synced(names.StreamEvents, ack.Sequence); err != nil {
		return err
	}
	x.known.Apply(c)
	x.seen = max(x.seen, ack.Sequence)
	return nil
}

// refresh takes over what EVENTS says meanwhile. It begins anew on each connection, for the broker may have lost something.
func (x *Changes) refresh(ctx context.Context) error {
	connects := x.conn.Connects()
	if x.known == nil || x.connects != connects {
		if err := x.begin(ctx); err != nil {
			return err
		}
		x.connects = connects
	}
	for {
		ms, err := x.conn.Direct(ctx, names.StreamEvents,
			wire.DirectRequest{Sequence: x.seen + 1, NextFor: names.SubjectSelection, Batch: readAtOnce})
		if err != nil || len(ms) == 0 {
			return err
		}
		for _, m := range ms {
			if c := changeOf(m.Header, x.conn); c != nil {
				x.known.Apply(*c)
			}
			x.seen = max(x.seen, wire.StoredSequence(m))
		}
	}
}

// begin reads the checkpoints. Changes that are in one of them are applied again, in their order.
func (x *Changes) begin(ctx context.Context) error {
	known, seen := numbering.Selections{}, none
	for _, d := range recipient.Channels() {
		p, revision, err := control.NewNumberStore(x.conn).Checkpoint(ctx, d.Name)
		if err != nil {
			return err
		}
		if revision == 0 {
			seen = 0
			continue
		}
		known.Take(string(d.Name), p)
		seen = min(seen, p.Through)
	}
	x.known, x.seen = known, seen
	return nil
}

const none = ^uint64(0)

// changeOf is the change of a message of EVENTS; nil: it is none.
func changeOf(h nats.Header, c *wire.Conn) *numbering.Change {
	text := h.Get(names.HeaderSelection)
	if text == "" {
		return nil
	}
	change, err := numbering.DecodeChange(text)
	if err != nil {
		c.Logger.Warn("a change of what a recipient selects can't be read: its numbers go on without it", telemetry.KeyError, err.Error())
		return nil
	}
	return &change
}
