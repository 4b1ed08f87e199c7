package events

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/pause"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/deliveries"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

const (
	// firstPause and lastPause bound the pause between two looks at an event.
	firstPause, lastPause = 100 * time.Millisecond, time.Second
	// settleTime is how long a change of a recipient may take to act, and an event to be found.
	settleTime = 5 * time.Second
	// maxUnclear is how many looks in a row may leave a delivery unclear, notStored the reason of its route then.
	maxUnclear, notStored = 5, "event_not_stored"
)

// follower waits until every delivery of an event is final.
type follower struct {
	*command.Env
	client  *client.Client
	timeout time.Duration
}

// follow waits for the final states of an event, shows its deliveries, and fails unless all were delivered.
func (f follower) follow(ctx context.Context, id string) error {
	waiting, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	e, err := f.await(waiting, id)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted while %s was followed: it is accepted, see \"outbound events get %s\"", id, id)
	case err != nil:
		return err
	}
	if f.Structured() {
		err = f.Show(e, nil)
	} else if len(e.GetDeliveries()) > 0 {
		err = f.Print(deliveries.Table(e.GetDeliveries()))
	}
	if err != nil {
		return err
	}
	return f.judge(e)
}

// await looks at an event until all its deliveries are final or ctx ends, and returns what it saw last.
func (f follower) await(ctx context.Context, id string) (*outboundv1.Event, error) {
	bar := f.Progress()
	defer bar.End()
	began, last, unclear := time.Now(), &outboundv1.Event{EventId: id}, 0
	for again := firstPause; ; again = min(2*again, lastPause) {
		e := &outboundv1.Event{}
		err := f.client.Call(ctx, http.MethodGet, "/v1/events/"+url.PathEscape(id), nil, e)
		young := time.Since(began) < settleTime
		switch {
		case ctx.Err() != nil:
			return last, nil
		case err != nil && (exit.Code(err) != exit.CodeNotFound || !young):
			return nil, err
		case err == nil:
			last = e
			final, all := progress(e)
			unclear = unclearAfter(unclear, e)
			if all > 0 && final == all && (unclear == 0 || unclear > maxUnclear) || all == 0 && !young {
				return e, nil
			}
			bar.Show("%d of %d deliveries are final", final, all)
		}
		if !pause.For(ctx, again) {
			return last, nil
		}
	}
}

// unclearAfter counts the looks in a row in which a delivery was neither in the queue nor in the log. It is on its way from one to the
// other, and the next look finds it, unless the recipient selects the event only since a later change.
func unclearAfter(looks int, e *outboundv1.Event) int {
	for _, r := range e.GetRoutes() {
		if !r.GetMatched() && r.GetReason() == notStored {
			return looks + 1
		}
	}
	return 0
}

// progress counts the recipients that an event is for, and those of which its delivery is final.
func progress(e *outboundv1.Event) (final, all int) {
	for _, r := range e.GetRoutes() {
		if r.GetMatched() {
			all++
			if isFinal(r.GetState()) {
				final++
			}
		}
	}
	return final, all
}

func isFinal(s outboundv1.DeliveryState_State) bool {
	switch s {
	case outboundv1.DeliveryState_DELIVERED, outboundv1.DeliveryState_EXPIRED, outboundv1.DeliveryState_REJECTED,
		outboundv1.DeliveryState_SKIPPED, outboundv1.DeliveryState_CANCELLED:
		return true
	case outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED, outboundv1.DeliveryState_WAITING, outboundv1.DeliveryState_RETRYING:
		return false
	default:
		return false
	}
}

// judge is an error with its own exit code unless the event was delivered to everybody that it is for.
func (f follower) judge(e *outboundv1.Event) error {
	var other []string
	final, all := progress(e)
	for _, r := range e.GetRoutes() {
		if r.GetMatched() && r.GetState() != outboundv1.DeliveryState_DELIVERED {
			text := r.GetRecipientId() + " is " + waitingWord(r.GetState())
			if why := r.GetDetail(); why != "" && why != r.GetReason() {
				text += " (" + why + ")"
			}
			other = append(other, text)
		}
	}
	switch {
	case all == 0:
		return exit.Undelivered(fmt.Sprintf("no recipient gets event %s: \"outbound events get %s\" says why", e.GetEventId(), e.GetEventId()))
	case len(other) == 0:
		return nil
	case final < all:
		return exit.Undelivered(fmt.Sprintf("%d of %d deliveries of %s are not final after %s: %s", all-final, all, e.GetEventId(), f.timeout,
			strings.Join(other, ", ")))
	default:
		return exit.Undelivered(fmt.Sprintf("%d of %d deliveries of %s failed: %s", len(other), all, e.GetEventId(), strings.Join(other, ", ")))
	}
}

func waitingWord(s outboundv1.DeliveryState_State) string {
	if s == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		return outboundv1.DeliveryState_WAITING.String()
	}
	return s.String()
}
