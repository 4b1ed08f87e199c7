package events_test

import (
	"regexp"
	"strings"
	"testing"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestAnEventPageSaysEachThingOnce(t *testing.T) {
	const delivered, retrying = outboundv1.DeliveryState_DELIVERED, outboundv1.DeliveryState_RETRYING
	h := &history{one: &outboundv1.Event{
		EventId: "a1~e1", EventType: "t", Decision: outboundv1.Intake_ACCEPTED, CloudEventJson: "{}",
		Routes: []*outboundv1.Route{
			{RecipientId: "no", DisplayName: "Not wanted", Reason: "filter_false", Detail: "The filter is false."},
			{RecipientId: "desk", DisplayName: "Desk", Matched: true, State: delivered, Reason: "ok", Detail: "Delivered after 1 attempt."},
			{RecipientId: "crm", DisplayName: "CRM", Matched: true, State: retrying, Reason: "connect", Detail: "RETRYING after 3 attempts"},
		},
		Deliveries: []*outboundv1.Delivery{
			{EventId: "a1~e1", RecipientId: "desk", State: delivered, Reason: "ok", Attempts: 1, ReplayId: "R1"},
			{EventId: "a1~e1", RecipientId: "desk", State: delivered, Reason: "ok", Attempts: 1},
			{EventId: "a1~e1", RecipientId: "crm", State: retrying, Reason: "connect", Detail: "connection refused", Attempts: 3,
				WaitReason: "due"},
			{EventId: "a1~e1", RecipientId: "gone", State: delivered, Reason: "ok", Attempts: 2},
		},
	}}
	page := start(t, h).As("viewer").Get("/events/a1~e1").Body
	var rows []string
	tags := regexp.MustCompile(`<[^>]*>|\s+`)
	for _, m := range regexp.MustCompile(`(?s)<tr><th scope="row" data-label="Recipient">.*?</tr>`).FindAllString(page, -1) {
		rows = append(rows, strings.TrimSpace(regexp.MustCompile(` +`).ReplaceAllString(tags.ReplaceAllString(m, " "), " ")))
	}
	want := []string{
		"Desk yes delivered – 1 – –", "Desk replay delivered – 1 – –", "CRM yes retrying connection failed connection refused 3 – due now",
		"Not wanted no – filtered out The filter is false. 0 – –", "gone – delivered – 2 – –",
	}
	if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the recipients are shown as\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for _, once := range []string{"Routing</h2>", "Timeline</h2>", "Event JSON</summary>"} {
		if strings.Count(page, once) != 1 {
			t.Errorf("%q is shown %d times", once, strings.Count(page, once))
		}
	}
	if strings.Contains(page, "Deliveries</h2>") {
		t.Error("the deliveries are shown a second time")
	}
}
