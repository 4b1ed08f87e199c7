package recipients_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// rowsOf are the IDs of the recipients on a page, in order.
func rowsOf(body string) string {
	var out []string
	for _, m := range regexp.MustCompile(`<tr id="row-([^"]+)"`).FindAllStringSubmatch(body, -1) {
		out = append(out, m[1])
	}
	return strings.Join(out, " ")
}

func TestWhatFailsComesFirst(t *testing.T) {
	off, held := httpRecipient("off", "C off", false), httpRecipient("held", "D held", false)
	held.WhileDisabled = outboundv1.Recipient_WhileDisabled_HOLD
	mail := fullEmail()
	mail.Id, mail.DisplayName, mail.Enabled = "mail", "F mail", proto.Bool(true)
	h := newFixture(httpRecipient("fine", "A fine", true), httpRecipient("new", "B new failure", true), off, held,
		httpRecipient("old", "E old failure", true), mail)
	now := time.Now()
	state := func(id string, queued int64, oldest time.Duration) *outboundv1.RecipientStatus {
		s := &outboundv1.RecipientStatus{RecipientId: id, QueuedEvents: queued}
		if queued > 0 {
			s.OldestQueuedTime = timestamppb.New(now.Add(-oldest))
		}
		return s
	}
	fails := func(s *outboundv1.RecipientStatus, since time.Duration, words string) *outboundv1.RecipientStatus {
		s.Health, s.FailingSinceTime, s.LastError = outboundv1.RecipientHealth_FAILING, timestamppb.New(now.Add(-since)), words
		s.Activity = []*outboundv1.Activity{{Delivered: 1, Failed: 3}}
		return s
	}
	old := fails(state("old", 2, time.Hour), time.Hour, "b")
	old.BreakerOpen = true
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{
		state("fine", 7, time.Minute), fails(state("new", 1, time.Second), time.Minute, "a"), state("off", 0, 0),
		state("held", 9, 2*time.Hour), old,
		fails(state("mail", 3, 3*time.Hour), 2*time.Hour, "c"),
	}}
	b := h.open(t).As("viewer")
	for query, want := range map[string]string{
		"":                     "mail old new held off fine",
		"sort=-status":         "fine off held new old mail",
		"sort=name":            "fine new off held old mail",
		"sort=-name":           "mail old held off new fine",
		"sort=-queued":         "held fine mail old new off",
		"sort=oldest":          "mail held old fine new off",
		"sort=error":           "new old mail fine off held",
		"show=failing":         "mail old new",
		"show=breaker":         "old",
		"show=paused":          "held",
		"channel=http":         "old new held off fine",
		"sort=-queued&q=fail":  "old new",
		"show=failing&q=mail":  "mail",
		"channel=email&q=held": "",
	} {
		if got := rowsOf(b.Get("/?" + query).Body); got != want {
			t.Errorf("%q shows %q, want %q", query, got, want)
		}
	}
	if body := b.Get("/part/status").Body; !strings.Contains(body, "3 recipients failing") {
		t.Errorf("the top bar says %s", body)
	}
	for path, want := range map[string]string{"/": "3 failing – Recipients", "/recipients/old": "failing – E old failure",
		"/recipients/held": "paused – D held", "/recipients/fine": "A fine"} {
		if body := b.Get(path).Body; !strings.Contains(body, "<title>"+want+" · Outbound</title>") {
			t.Errorf("the title of %s is not %q", path, want)
		}
	}
	body := b.Get("/?q=a&sort=-queued&channel=http").Body
	for _, want := range []string{
		`href="/?channel=http&amp;q=a&amp;show=failing&amp;sort=-queued">Failing 2</a>`, `href="/?channel=http&amp;q=a&amp;sort=queued"`,
		`aria-sort="descending"`, `name="sort" value="-queued"`, `name="channel" value="http"`,
		`<strong>3 recipients failing</strong>, 1 of them paused by the breaker, of 6.`, `href="/?q=a&amp;sort=-queued">HTTP and email 6</a>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not keep its state: no %q", want)
		}
	}
}
