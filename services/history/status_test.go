package history_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestStatusShowsNoNextAttemptThatWasMadeAlready(t *testing.T) {
	h := newFixture(t, history.ExternalBroker, httpRecipient("bad", "support_conference_end"))
	due := time.Now()
	h.attempted(h.accept("a1", "e-1"), "bad", "", 1, delivery.StateRetrying)
	h.stands("bad", health.Status{Health: health.Failing, Since: due, Reason: reasons.Connect, NextAttempt: due}, 0)
	s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil || len(s.GetRecipients()) != 1 {
		t.Fatalf("answered %v, %v", s, err)
	}
	if bad := s.GetRecipients()[0]; bad.GetLastAttemptTime() == nil || bad.GetNextAttemptTime() != nil {
		t.Errorf("after an attempt at %v the next one is told to be at %v", bad.GetLastAttemptTime().AsTime(), bad.GetNextAttemptTime().AsTime())
	}
}

func TestStatusTellsEachRecipientsHealth(t *testing.T) {
	const end = "support_conference_end"
	off, held := httpRecipient("off", end), httpRecipient("held", end)
	off.Enabled, held.Enabled, held.WhileDisabled = proto.Bool(false), proto.Bool(false), outboundv1.Recipient_WhileDisabled_HOLD
	mail := &outboundv1.Recipient{Id: "mail", DisplayName: "Mail", Enabled: proto.Bool(true), EventTypes: []string{end},
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{"ops@example.com"}}}}
	h := newFixture(t, history.ExternalBroker, httpRecipient("good", end), httpRecipient("bad", end), httpRecipient("fresh", end),
		off, held, mail)
	e1, e2 := h.accept("a1", "e-1"), h.accept("a1", "e-2")
	h.attempted(e1, "good", "", 1, delivery.StateRetrying)
	h.attempted(e1, "good", "", 2, delivery.StateDelivered)
	h.attempted(e2, "good", "", 0, delivery.StateSkipped)
	h.attempted(e1, "bad", "", 1, delivery.StateDelivered)
	h.attempted(e2, "bad", "", 1, delivery.StateRetrying)
	h.attempted(e2, "bad", "", 2, delivery.StateRetrying)
	h.stands("bad", health.Status{Health: health.Failing, Since: time.Now(), Reason: reasons.HTTPStatus, Code: 500, Detail: "answered 500",
		NextAttempt: time.Now().Add(time.Minute)}, 0)

	s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]*outboundv1.RecipientStatus{}
	for _, r := range s.GetRecipients() {
		by[r.GetRecipientId()] = r
	}
	for id, want := range map[string]outboundv1.RecipientHealth_Health{
		"good": outboundv1.RecipientHealth_OK, "bad": outboundv1.RecipientHealth_FAILING, "fresh": outboundv1.RecipientHealth_OK,
		"off": outboundv1.RecipientHealth_DISABLED, "held": outboundv1.RecipientHealth_PAUSED, "mail": outboundv1.RecipientHealth_OK,
	} {
		if got := by[id].GetHealth(); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	bad := by["bad"]
	if bad.GetLastError() != "http_status 500: answered 500" || bad.GetNextAttemptTime() == nil || bad.GetFailingSinceTime() == nil ||
		bad.GetLastDeliveredTime() == nil {
		t.Errorf("the failing recipient is not told in full: %v", bad)
	}
	if q := by["fresh"]; q.GetQueuedEvents() != 2 || q.GetOldestQueuedTime() == nil {
		t.Errorf("the queue is not told: %v", q)
	}
	if len(s.GetStreams()) != 3 || s.GetVersion() != "test" {
		t.Errorf("streams or version are missing: %v", s)
	}
	notices := strings.Join(s.GetNotices(), "\n")
	for _, want := range []string{"sync_interval", "Failing: The bad (bad).", "SMTP relay"} {
		if !strings.Contains(notices, want) {
			t.Errorf("no notice of %q in:\n%s", want, notices)
		}
	}
	one, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{RecipientId: "off"})
	if err != nil || len(one.GetRecipients()) != 1 {
		t.Errorf("one recipient's status: %v, %v", one, err)
	}
	_, err = h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{RecipientId: "nobody"})
	wantCode(t, err, codes.NotFound)
}

// stands keeps a status, as a sender does.
func (h *fixture) stands(id string, st health.Status, revision uint64) uint64 {
	h.t.Helper()
	revision, err := control.NewHealthStore(h.bus).Put(h.t.Context(), recipient.HTTP, id, st, revision)
	if err != nil {
		h.t.Fatal(err)
	}
	return revision
}

func TestStatusIsWatched(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	stream, err := h.status.WatchStatus(ctx, &outboundv1.WatchStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *outboundv1.RecipientStatus {
		t.Helper()
		s, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return s.GetRecipients()[0]
	}
	if s := next(); s.GetHealth() != outboundv1.RecipientHealth_OK {
		t.Errorf("at first %v", s)
	}
	since := time.Now().UTC()
	h.stands("r1", health.Status{Health: health.Failing, Since: since, Reason: reasons.DNS, BreakerOpen: true, LastAlert: since}, 0)
	s := next()
	for s.GetHealth() != outboundv1.RecipientHealth_FAILING {
		s = next()
	}
	if !s.GetFailingSinceTime().AsTime().Equal(since) || s.GetLastReason() != "dns" || !s.GetBreakerOpen() || s.GetLastAlertTime() == nil {
		t.Errorf("then %v", s)
	}
}

func TestEventsAreListedWithTheirDecision(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	h.appendIntake(event.IntakeRecord{Appliance: "a1", EventID: "bad-1", Time: time.Now(), Via: "nats", Raw: []byte("{"),
		Violations: event.Violations{{Field: "type", Reason: event.ReasonUnknownType, Description: "no such type"}}})
	h.attempted(h.accept("a1", "e-1"), "r1", "", 1, delivery.StateDelivered)
	h.accept("a2", "e-2")
	h.accept("a2", "e-3")

	list := func(req *outboundv1.ListEventsRequest) string {
		t.Helper()
		resp, err := h.events.ListEvents(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range resp.GetEvents() {
			out = append(out, e.GetEventId())
		}
		if resp.GetNextPageToken() != "" {
			req.PageToken = resp.GetNextPageToken()
			more, err := h.events.ListEvents(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range more.GetEvents() {
				out = append(out, "|"+e.GetEventId())
			}
		}
		return strings.Join(out, " ")
	}
	for want, req := range map[string]*outboundv1.ListEventsRequest{
		"a2~e-3 a2~e-2 a1~e-1 a1~bad-1":   {},
		"a2~e-3 a2~e-2 |a1~e-1 |a1~bad-1": {PageSize: 2},
		"a1~bad-1":                        {Decision: outboundv1.Intake_REJECTED},
		"a1~e-1":                          {ApplianceId: "a1", Decision: outboundv1.Intake_ACCEPTED},
	} {
		if got := list(req); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	e, err := h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "e-1"})
	if err != nil || !strings.Contains(e.GetCloudEventJson(), `"id":"e-1"`) || len(e.GetDeliveries()) != 1 || e.GetVia() != "http" ||
		e.GetSequence() != 1 {
		t.Errorf("the event is not told in full: %v, %v", e, err)
	}
	e, err = h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "a1~bad-1"})
	if err != nil || e.GetDecision() != outboundv1.Intake_REJECTED || string(e.GetRaw()) != "{" ||
		e.GetViolations()[0].GetReason() != "UNKNOWN_TYPE" {
		t.Errorf("the refusal is not told in full: %v, %v", e, err)
	}
	_, err = h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "a1~none"})
	wantCode(t, err, codes.NotFound)
	_, err = h.events.PublishEvent(t.Context(), &outboundv1.PublishEventRequest{})
	wantCode(t, err, codes.Unimplemented)
}
