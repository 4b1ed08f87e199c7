package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// publisher publishes the events of a round and writes each into its journal: before the first try, and when the result is known. A
// publish without a result is repeated with the same id.
type publisher struct {
	seed       uint64
	journal    *journal
	appliances []*harness.Appliance
	// accepted, refused and repeats count.
	accepted, refused, repeats atomic.Int64
	failed                     chan error
}

// workers bounds the publishes under way. While intake is away they all wait, and events come later than planned.
const workers = 24

// tryLimit is when a try of a publish has no result.
const tryLimit = 5 * time.Second

// run publishes events at a rate until ctx ends, then finishes those under way within the patience of last.
func (p *publisher) run(ctx, last context.Context, rate int) (n int) {
	var all sync.WaitGroup
	jobs := make(chan made)
	for range workers {
		all.Go(func() {
			for m := range jobs {
				p.publish(last, m)
				if !m.Post && m.Invalid == "" && chance(p.seed, m.ID, "again") < 0.02 {
					p.publish(last, m) // an appliance that never saw the reply
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			select {
			case jobs <- makeEvent(p.seed, n):
				n++
			case <-ctx.Done():
			}
		}
	}
	close(jobs)
	all.Wait()
	return n
}

// publish publishes one event until its result is known or ctx ends, and reports whether it was accepted.
func (p *publisher) publish(ctx context.Context, m made) bool {
	p.note(published{Time: time.Now(), Result: resultTry, Event: m.event})
	entry := published{Result: resultUnknown, Event: m.event}
	for ctx.Err() == nil {
		entry.Tries++
		status, body, err := p.send(ctx, m)
		if entry.judge(status, body, err) {
			break
		}
		p.repeats.Add(1)
		pause(ctx, 100*time.Millisecond)
	}
	entry.Time = time.Now()
	p.note(entry)
	switch entry.Result {
	case resultAccepted:
		p.accepted.Add(1)
		return true
	case resultRefused:
		p.refused.Add(1)
	}
	return false
}

func (p *publisher) note(e published) {
	if err := p.journal.add(e); err != nil {
		select {
		case p.failed <- err:
		default:
		}
	}
}

// send makes one try. Status 0 is an accepted one.
func (p *publisher) send(ctx context.Context, m made) (status int, body []byte, err error) {
	a := p.appliances[0]
	for _, x := range p.appliances {
		if x.ID == m.Appliance {
			a = x
		}
	}
	if m.Post {
		answer, err := a.PostRaw(m.raw)
		if err != nil || answer.Status == http.StatusOK {
			return 0, answer.Body, err
		}
		return answer.Status, answer.Body, nil
	}
	one, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	reply, err := a.Request(one, m.Type, m.raw)
	if err != nil {
		return 0, nil, err
	}
	if code := reply.Header.Get("Nats-Service-Error-Code"); code != "" {
		status, err = strconv.Atoi(code)
		return status, reply.Data, err
	}
	return 0, reply.Data, nil
}

// judge says whether a try has a result, and what it is.
func (e *published) judge(status int, body []byte, err error) (known bool) {
	switch {
	case err != nil:
		e.Detail = err.Error()
		return false
	case status == 0:
		var r harness.Reply
		if err := json.Unmarshal(body, &r); err != nil || r.EventID == "" {
			e.Detail = fmt.Sprintf("the reply %.200q names no event", body)
			return false
		}
		e.Result, e.Duplicate, e.Detail = resultAccepted, r.Duplicate, ""
		if r.EventID != e.Event.Key() {
			e.Detail = "answered as " + r.EventID
		}
		return true
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		e.Result, e.Detail = resultRefused, fmt.Sprintf("%d %.300s", status, body)
		return true
	default:
		e.Detail = fmt.Sprintf("%d %.300s", status, body)
		return false
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
