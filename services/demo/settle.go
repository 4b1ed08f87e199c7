package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// recorded is how many deliveries of each recipient came to each state; of the skipped ones the reason is part of the state.
type recorded map[string]map[string]int

// skipped is the state of emails about a session without a ticket, where an external key is required.
const skipped = "SKIPPED: no_external_key"

// awaitQuiet waits until all that was expected has arrived and is on record, shows both side by side, and names what is missing.
func (s *Service) awaitQuiet(ctx context.Context) error {
	s.ledger.Await(ctx, s.options.Deadline, complete)
	var records recorded
	err := poll(ctx, s.options.Deadline, func() (err error) {
		if records, err = s.records(ctx); err != nil {
			return err
		}
		return s.compare(records)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.table(records)
	faults := s.ledger.Faults()
	if err != nil {
		faults = append(faults, err.Error())
	}
	if len(faults) > 0 {
		return errors.New("the result is not as expected: " + strings.Join(faults, "; "))
	}
	s.addresses()
	return nil
}

// records reads the states of this round's deliveries from the delivery log.
func (s *Service) records(ctx context.Context) (recorded, error) {
	out := recorded{}
	for _, session := range s.sessions {
		var page outboundv1.ListDeliveriesResponse
		query := url.Values{"session_id": {session}, "page_size": {"1000"}}
		if err := s.api.Call(ctx, http.MethodGet, "/v1/deliveries?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, d := range page.GetDeliveries() {
			if out[d.GetRecipientId()] == nil {
				out[d.GetRecipientId()] = map[string]int{}
			}
			state := d.GetState().String()
			if d.GetState() == outboundv1.DeliveryState_SKIPPED {
				state += ": " + d.GetReason()
			}
			out[d.GetRecipientId()][state]++
		}
	}
	return out, nil
}

// compare reports the first recipient whose records do not add up to what is expected.
func (s *Service) compare(records recorded) error {
	for _, recipient := range recipientIDs() {
		t, r := s.ledger.Total(recipient), records[recipient]
		if r["DELIVERED"] != t.Expected || r[skipped] != t.Skipped {
			return fmt.Errorf("the delivery log of %s has %s; expected %d DELIVERED, %d %s", recipient, states(r), t.Expected, t.Skipped, skipped)
		}
	}
	return nil
}

// states writes counts by state, e.g. "3 DELIVERED, 2 SKIPPED".
func states(counts map[string]int) string {
	var parts []string
	for state, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, state))
	}
	slices.SortFunc(parts, func(a, b string) int { return strings.Compare(a[strings.Index(a, " "):], b[strings.Index(b, " "):]) })
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func (s *Service) table(records recorded) {
	s.screen.Title("Expected and arrived")
	s.screen.Line("  %s  expected  arrived  refused  recorded ", column("recipient"))
	for _, recipient := range recipientIDs() {
		t := s.ledger.Total(recipient)
		mark := s.screen.in(green, "✓")
		if t.Arrived != t.Expected || t.Repeated > 0 {
			mark = s.screen.in(red, "✗")
		}
		s.screen.Line("%s %s  %8d  %7d  %7d  %s", mark, column(recipient), t.Expected, t.Arrived+t.Repeated, t.Refused,
			states(records[recipient]))
	}
}

func (s *Service) addresses() {
	if s.options.Once {
		return
	}
	s.screen.Title("What to try next")
	s.screen.Line("  console     %s/", s.deps.HTTP)
	if s.deps.FirstStart != "" {
		s.screen.Line("              first create your user here (link works once): %s", s.deps.FirstStart)
	}
	s.screen.Line("  health      %s/readyz", s.deps.HTTP)
	s.screen.Line("  API         %s/openapi.json", s.deps.HTTP)
	s.screen.Line("  metrics     %s/metrics", s.deps.HTTP)
	s.screen.Line("  deliveries  curl -H \"Authorization: Bearer $(cat %s)\" '%s/v1/deliveries?page_size=5'",
		filepath.Join(s.deps.Data, "admin.token"), s.deps.HTTP)
	s.screen.Line("  status      bin/outbound --data %s status   (after make build)", s.deps.Data)
	s.screen.Line("  appliances  nats://%s", s.deps.NATS)
}
