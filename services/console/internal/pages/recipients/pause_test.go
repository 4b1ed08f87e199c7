package recipients_test

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestTheBreakerIsAStateWithAButton(t *testing.T) {
	h := newFixture(httpRecipient("crm", "CRM", true), httpRecipient("lake", "Lake", true), fullEmail())
	s := failing("crm", "connection refused")
	s.BreakerOpen, s.ProbeInterval = true, durationpb.New(90*time.Second)
	s.BreakerSinceTime = timestamppb.New(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	s.NextProbeTime = timestamppb.New(time.Now().Add(5*time.Minute + 30*time.Second))
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{s, failing("lake", "HTTP 500")}}
	system := h.open(t)
	const words = "2026-11-21 10:00:00 UTC</time>, probing every 1 min 30 s, 12\u202f345 waiting"
	for _, path := range []string{"/", "/recipients/crm"} {
		if body := system.As("viewer").Get(path).Body; !strings.Contains(body, "paused by the breaker since") || !strings.Contains(body, words) ||
			strings.Contains(body, "Probe now") {
			t.Errorf("%s does not tell a viewer of the breaker, or offers a probe", path)
		}
	}
	b := system.As("operator")
	if body := b.Get("/recipients/crm").Body; !strings.Contains(body, "Probe now") || !strings.Contains(body, "in 5 min") {
		t.Error("the page of the recipient does not offer a probe, or does not say when the next one is")
	}
	if body := b.Get("/recipients/lake").Body; strings.Contains(body, "Probe now") || strings.Contains(body, "paused by the breaker") {
		t.Error("a recipient whose breaker is closed is told to be paused by it")
	}
	if answer := b.Post("/recipients/crm/probe", nil); answer.Header.Get("Location") != "/recipients/crm" {
		t.Errorf("the probe is answered with %d %v", answer.Status, answer.Header)
	}
	if q := last[*outboundv1.ProbeRecipientRequest](t, h); q.GetId() != "crm" {
		t.Errorf("a probe was asked for of %v", q)
	}
	b.Post("/recipients/full-email/probe", nil)
	if body := b.Get("/recipients/full-email").Body; !strings.Contains(body, "othing waits") {
		t.Error("a probe that is refused is not told of")
	}
	if forbidden := system.As("viewer").Post("/recipients/crm/probe", nil); forbidden.Status != http.StatusForbidden {
		t.Errorf("a viewer's probe is answered with %d", forbidden.Status)
	}
}

func TestTheSwitchAsksWhatHappensToEvents(t *testing.T) {
	h := newFixture(httpRecipient("crm", "CRM "+hostile, true))
	b := h.open(t).As("operator")
	const held, skips = `value="HOLD" class="primary"`, `value="SKIP" class="primary"`
	page := b.Get("/recipients/crm/disable?back=/recipients/crm")
	inert(t, "the question", page)
	for _, want := range []string{
		"Pause and hold", "Disable and skip", "Nothing is lost", "recorded as skipped", skips, `href="/recipients/crm"`,
	} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the question does not say %q", want)
		}
	}
	b.Post("/recipients/crm/enabled", url.Values{"enabled": {"false"}, "whileDisabled": {"HOLD"}})
	mask := last[*outboundv1.UpdateRecipientRequest](t, h).GetUpdateMask().GetPaths()
	if !slices.Equal(mask, []string{"enabled", "while_disabled"}) {
		t.Errorf("the mask was %v", mask)
	}
	if got := h.find("crm"); got.GetEnabled() || got.GetWhileDisabled() != outboundv1.Recipient_WhileDisabled_HOLD {
		t.Errorf("it is now %v", got)
	}
	b.Post("/recipients/crm/enabled", url.Values{"enabled": {"true"}})
	if page := b.Get("/recipients/crm/disable"); !strings.Contains(page.Body, held) || strings.Contains(page.Body, skips) {
		t.Error("the setting of the recipient is not what is offered first")
	}
	b.Header.Set("HX-Request", "true")
	if part := b.Get("/recipients/crm/disable"); !strings.Contains(part.Body, `id="ask-title"`) || strings.Contains(part.Body, "<html") {
		t.Error("the question is not asked in place")
	}
}

func TestWhatIsHeldAndSkippedIsCounted(t *testing.T) {
	held, off := httpRecipient("held", "Held", false), httpRecipient("off", "Off", false)
	held.WhileDisabled = outboundv1.Recipient_WhileDisabled_HOLD
	h := newFixture(held, off, httpRecipient("back", "Back", true))
	from, until := time.Date(2026, 11, 21, 10, 0, 0, 5000, time.UTC), time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{
		{RecipientId: "held", Health: outboundv1.RecipientHealth_PAUSED, QueuedEvents: 17,
			OldestQueuedTime: timestamppb.New(time.Now().Add(-3 * time.Hour))},
		{RecipientId: "off", Health: outboundv1.RecipientHealth_DISABLED, SkippedEvents: 48, SkippedSinceTime: timestamppb.New(from)},
		{RecipientId: "back", SkippedEvents: 48, SkippedSinceTime: timestamppb.New(from), SkippedUntilTime: timestamppb.New(until)},
	}}
	b := h.open(t).As("operator")
	shows := func(path string, want ...string) string {
		t.Helper()
		body := b.Get(path).Body
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s does not show %q", path, w)
			}
		}
		return html.UnescapeString(body)
	}
	shows("/", "17 held", "3 h ago", "48 skipped since", "2026-11-21 10:00:00 UTC")
	shows("/recipients/held", "Held events", "<dd>17</dd>", "3 h ago")
	const backfill = "/replays/new?backfill.startTime=2026-11-21T10%3A00%3A00.000005Z&kind=backfill&preview=1&toRecipientId=off"
	if body := shows("/recipients/off", "48 skipped since", "Backfill what was skipped"); !strings.Contains(body, backfill) {
		t.Error("the backfill is not of what was skipped")
	}
	if body := shows("/recipients/back", "48 skipped from", "Backfill what was skipped"); !strings.Contains(body,
		"backfill.endTime=2026-11-21T11%3A00%3A00Z") {
		t.Error("the backfill does not end when the recipient was enabled")
	}
	h.replays = []*outboundv1.Replay{{Id: "r-1", ToRecipientId: "back", State: outboundv1.Replay_DONE, Source: &outboundv1.Replay_Backfill_{
		Backfill: &outboundv1.Replay_Backfill{StartTime: timestamppb.New(from), EndTime: timestamppb.New(until)}}}}
	if body := shows("/recipients/back", "Backfilled", "/replays/r-1"); strings.Contains(body, "Backfill what was skipped") {
		t.Error("what was backfilled is offered again")
	}
}
