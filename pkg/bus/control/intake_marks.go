package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// IntakeMark says how far the acceptances of one ingest process are recorded.
type IntakeMark struct {
	// Process is the process's id.
	Process string `json:"-"`
	// Sequence of EVENTS up to which each event that this process has accepted has its record. What the process accepts from now on
	// comes behind it.
	Sequence uint64 `json:"sequence"`
	// Ended says that the process has ended in order: it accepts nothing more.
	Ended bool `json:"ended,omitempty"`
	// Time is when the mark was written, by the broker's clock.
	Time time.Time `json:"-"`

	revision uint64
}

// prefixIntake begins the keys of these marks in the bucket of statuses.
const prefixIntake = prefixMark + "intake."

// IntakeMarks are the marks of all ingest processes, those that have died included.
func (c Client) IntakeMarks(ctx context.Context) ([]IntakeMark, error) {
	b, err := c.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return nil, err
	}
	w, err := b.KV.Watch(ctx, prefixIntake+"*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("list the intake checkpoints: %w", err)
	}
	defer c.conn.StopWatch(w)
	var out []IntakeMark
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("list the intake checkpoints: %w", ctx.Err())
		case e, ok := <-w.Updates():
			if !ok {
				return nil, errors.New("list the intake checkpoints: the watch ended early")
			}
			if e == nil { // all there are have been told
				return out, nil
			}
			m := IntakeMark{Process: strings.TrimPrefix(e.Key(), prefixIntake), Time: e.Created(), revision: e.Revision()}
			if json.Unmarshal(e.Value(), &m) != nil {
				m.Sequence, m.Ended = 0, false // one that can't be read covers nothing
			}
			out = append(out, m)
		}
	}
}

// PutIntakeMark writes a mark. Only the process that it is of does.
func (c Client) PutIntakeMark(ctx context.Context, m IntakeMark) error {
	b, err := c.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	value, err := json.Marshal(m)
	if err == nil {
		// Else a start after a power loss would find that EVENTS has lost its end.
		err = c.conn.Synced(names.StreamEvents, m.Sequence)
	}
	if err != nil {
		return fmt.Errorf("store the intake checkpoint %s: %w", m.Process, err)
	}
	if _, err := b.Put(ctx, prefixIntake+m.Process, value); err != nil {
		return fmt.Errorf("store the intake checkpoint %s: %w", m.Process, err)
	}
	return nil
}

// RemoveIntakeMark removes a mark as IntakeMarks has told it. One that was written again meanwhile stays. Nothing is left of it in the
// bucket: a new process has another id, so that tombstones would add up.
func (c Client) RemoveIntakeMark(ctx context.Context, m IntakeMark) error {
	s, err := c.conn.JS.Stream(ctx, wire.BucketStream(names.BucketStatus))
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(wire.BucketSubject(names.BucketStatus, prefixIntake+m.Process)),
			jetstream.WithPurgeSequence(m.revision+1))
	}
	if err != nil {
		return fmt.Errorf("remove the intake checkpoint %s: %w", m.Process, err)
	}
	return nil
}

// lowestIntake is the last sequence of EVENTS up to which all acceptances are recorded; ok is false if no mark tells.
func (c Client) lowestIntake(ctx context.Context) (lowest uint64, ok bool, err error) {
	marks, err := c.IntakeMarks(ctx)
	for i, m := range marks {
		if i == 0 || m.Sequence < lowest {
			lowest = m.Sequence
		}
	}
	return lowest, len(marks) > 0, err
}
