package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// way is how an appliance hands in its events.
type way struct {
	// post: by POST /v1/events with its token, else over NATS.
	post bool
	// undated: without a time, so that intake looks in HISTORY whether the event has come before.
	undated bool
}

// String names the way in a row.
func (w way) String() string {
	text := "NATS"
	if w.post {
		text = "POST"
	}
	if w.undated {
		text += ", without time"
	}
	return text
}

// event is the n-th event.
func (w way) event(n int) []byte {
	if !w.undated {
		return wire(n)
	}
	before, after, _ := bytes.Cut(wire(n), []byte(`"time":`))
	_, after, _ = bytes.Cut(after, []byte(","))
	return append(bytes.Clone(before), after...)
}

// parcel is the n-th event of an appliance.
func (w way) parcel(a *harness.Appliance, n int) parcel {
	return parcel{from: a, eventType: eventType, event: w.event(n), post: w.post}
}

// parcel is an event that is written and not handed in yet.
type parcel struct {
	from      *harness.Appliance
	eventType string
	event     []byte
	post      bool
}

// request hands in an event and waits until it is accepted.
func (p parcel) request() error {
	if p.post {
		answer, err := p.from.PostRaw(p.event)
		if err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("refused: %d %s", answer.Status, answer.Body)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	m, err := p.from.Request(ctx, p.eventType, p.event)
	if err != nil {
		return err
	}
	if m.Header.Get("Nats-Service-Error-Code") != "" {
		return errors.New("refused: " + string(m.Data))
	}
	return nil
}

// use is what the system has used since it was started: processor time, and syncs of files to disk, if it counts them.
type use struct {
	b       *bench
	h       *harness.System
	cpu     time.Duration
	syncs   float64
	counted bool
}

func (b *bench) use(h *harness.System) use {
	u := use{b: b, h: h, cpu: h.CPU(harness.One)}
	u.syncs, u.counted = b.findMetric(h, "outbound_store_syncs_total")
	return u
}

// each is what each of so many deliveries of so many events took since, in words.
func (u use) each(deliveries, events int) string {
	now := u.b.use(u.h)
	text := fmt.Sprintf("%.0f µs CPU a delivery", micros(now.cpu-u.cpu, deliveries))
	if now.counted {
		text += fmt.Sprintf(", %.2f syncs an event", (now.syncs-u.syncs)/float64(events))
	}
	return text
}
