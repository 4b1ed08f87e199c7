package recipients_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func httpRecipient(id, name string, enabled bool) *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: id, DisplayName: name, Enabled: proto.Bool(enabled), EventTypes: []string{"begin"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://" + id + ".example/" + hostile}},
	}
}

func failing(id, words string) *outboundv1.RecipientStatus {
	return &outboundv1.RecipientStatus{
		RecipientId: id, Health: outboundv1.RecipientHealth_FAILING, QueuedEvents: 12345, OldestQueuedTime: timestamppb.Now(),
		LastError: "http_status 500: " + words, LastReason: "http_status",
		NextAttemptTime: timestamppb.New(time.Now().Add(time.Minute)), LastAttemptTime: timestamppb.Now(), LastDeliveredTime: timestamppb.Now(),
		Activity: []*outboundv1.Activity{{Delivered: 3, Failed: 1}, {}, {Delivered: 4}},
	}
}

func TestOverviewShowsStatus(t *testing.T) {
	h := newFixture(httpRecipient("crm", "CRM "+hostile, true), httpRecipient("lake", "Lake", false), fullEmail())
	h.status = &outboundv1.Status{
		Notices: []string{"Failing: CRM.", "EVENTS is full. " + hostile},
		Relay:   &outboundv1.RelayStatus{Line: "relay refuses " + hostile, Configured: true},
		Recipients: []*outboundv1.RecipientStatus{failing("crm", "the receiver said "+hostile), {RecipientId: "lake"},
			{RecipientId: "full-email"}, {RecipientId: "old", Channel: "http", Health: outboundv1.RecipientHealth_DELETING}},
	}
	page := h.open(t).As("operator").Get("/")
	inert(t, "the overview", page)
	for _, want := range []string{
		"12\u202f345", "the receiver said", "87.5 %", "Last 24 hours: 7 delivered, 1 failed attempts", "a@example.com, ",
		"relay refuses", `aria-checked="false"`, "<title>1 failing – Recipients",
		"<strong>1 recipient failing</strong>, of 3.", "3 recipients", "Failing 1</a>", "Disabled 1</a>",
		"1 being deleted", `title="It begins"`, "1 type<",
	} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the overview does not show %q", want)
		}
	}
	if strings.Contains(page.Body, "Failing: CRM") {
		t.Error("what fails is told twice")
	}
	if strings.Contains(page.Body, "Get started") {
		t.Error("the first steps are shown although something was delivered")
	}
}

func TestOverviewIsSearchedAndFiltered(t *testing.T) {
	h := newFixture(httpRecipient("one", "One", true), httpRecipient("two", "Two", false), httpRecipient("three", "Three", true), fullEmail())
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{{RecipientId: "one"}, {RecipientId: "two"},
		failing("three", "no")}}
	b := h.open(t).As("viewer")
	for query, want := range map[string]string{"": "one two three full-email", "q=TWO": "two", "q=one.example": "one",
		"show=failing": "three", "show=disabled": "two", "q=c%40example": "full-email", "q=nothing": "", "channel=email": "full-email",
		"channel=http&show=failing": "three", "channel=email&show=failing": "",
		"show=nonsense&sort=nonsense&page=x": "one two three full-email"} {
		page := b.Get("/?" + query)
		var got []string
		for _, id := range []string{"one", "two", "three", "full-email"} {
			if strings.Contains(page.Body, `id="row-`+id+`"`) {
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q shows %v, want %s", query, got, want)
		}
	}
}

func TestThousandRecipientsArePaged(t *testing.T) {
	h := newFixture()
	s := &outboundv1.Status{}
	for i := range 1000 {
		id := fmt.Sprintf("r-%03d", i)
		h.put(httpRecipient(id, "Number "+id, true), "x")
		if i%2 == 0 {
			s.Recipients = append(s.Recipients, failing(id, "no"))
		}
	}
	h.status = s
	b := h.open(t).As("viewer")
	page := b.Get("/")
	if n := strings.Count(page.Body, `<tr id="row-`); n != 100 {
		t.Errorf("%d rows are on a page, want 100", n)
	}
	for _, want := range []string{
		"1\u202f000 recipients", "<strong>500 recipients failing</strong>", "Failing 500</a>", "1 to 100 of 1\u202f000 shown", `href="/?page=2"`,
	} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the overview does not show %q", want)
		}
	}
	if last := b.Get("/?page=10&sort=name"); !strings.Contains(last.Body, `id="row-r-999"`) || strings.Contains(last.Body, `rel="next"`) {
		t.Error("the last page is not the last")
	}
	if beyond := b.Get("/?page=99&show=failing"); !strings.Contains(beyond.Body, `id="row-r-998"`) {
		t.Error("a page beyond the last is not the last")
	}
}

func TestRecipientIsDisabledInPlace(t *testing.T) {
	h := newFixture(fullHTTP(), httpRecipient("crm", "CRM", true))
	b := h.open(t).As("operator")
	b.Header.Set("HX-Request", "true")
	part := b.Post("/recipients/crm/enabled", url.Values{"enabled": {"false"}})
	if part.Status != http.StatusOK || !strings.Contains(part.Body, `id="state-crm" hx-swap-oob="innerHTML"`) ||
		!strings.Contains(part.Body, ">disabled<") {
		t.Errorf("%d %s", part.Status, part.Body)
	}
	got := h.find("crm")
	if got.GetEnabled() || got.GetHttp().GetUrl() == "" {
		t.Errorf("it is now %v", got)
	}
	if mask := last[*outboundv1.UpdateRecipientRequest](t, h).GetUpdateMask().GetPaths(); len(mask) != 1 || mask[0] != "enabled" {
		t.Errorf("the mask was %v", mask)
	}
}

func TestOverviewStreamsOnlyChanges(t *testing.T) {
	h := newFixture(httpRecipient("one", "One", true), httpRecipient("two", "Two", true))
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{{RecipientId: "one"}, {RecipientId: "two"}}}
	stream := h.open(t).As("viewer").Stream("/part/recipients/stream")
	defer func() { _ = stream.Body.Close() }()
	events := eventsOf(stream.Body)
	if first := next(t, events, "cells"); !strings.Contains(first, "state-one") || !strings.Contains(first, "state-two") {
		t.Fatalf("the first is %s", first)
	}
	h.tell(&outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{{RecipientId: "one"}, {RecipientId: "two", QueuedEvents: 4711}}})
	cells := next(t, events, "cells")
	if strings.Contains(cells, "state-one") || !strings.Contains(cells, "4\u202f711") {
		t.Errorf("the change is shown as %s", cells)
	}
	// What fails moves to the top.
	h.tell(&outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{{RecipientId: "one"}, failing("two", "it broke "+hostile)}})
	tables := next(t, events, "tables")
	if rowsOf(tables) != "two one" || !strings.Contains(tables, "it broke") || strings.Contains(tables, "<script>") {
		t.Errorf("the failure is shown as %s", tables)
	}
	h.put(httpRecipient("three", "Three", true), "x")
	h.tell(h.status)
	if tables := next(t, events, "tables"); !strings.Contains(tables, `id="row-three"`) {
		t.Errorf("the new row is shown as %s", tables)
	}
}

// eventsOf reads the name and data of the events of a stream.
func eventsOf(body interface{ Read([]byte) (int, error) }) <-chan [2]string {
	out := make(chan [2]string, 16)
	go func() {
		defer close(out)
		var name string
		var data strings.Builder
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				name = strings.TrimPrefix(line, "event: ")
			case strings.HasPrefix(line, "data: "):
				data.WriteString(strings.TrimPrefix(line, "data: ") + "\n")
			case line == "" && name != "":
				out <- [2]string{name, data.String()}
				name = ""
				data.Reset()
			}
		}
	}()
	return out
}

// next returns the next event with a name.
func next(t *testing.T, events <-chan [2]string, name string) string {
	t.Helper()
	for {
		e := waittest.Receive(t, "an event "+name, events)
		if e[0] == "" {
			t.Fatalf("the stream ended before %q", name)
		}
		if e[0] == name {
			return e[1]
		}
	}
}

func TestFreshInstallationShowsGetStarted(t *testing.T) {
	h := newFixture()
	b := h.open(t).As("admin")
	page := b.Get("/")
	for _, want := range []string{"Get started", "No HTTP recipients yet", "No email recipients yet",
		`href="/recipients/new?channel=http"`, `href="/settings/appliances"`} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("a fresh installation does not show %q", want)
		}
	}
	if n := strings.Count(page.Body, `<li class="done">`); n != 0 {
		t.Errorf("%d steps are done", n)
	}
	h.appliances = []*outboundv1.Appliance{{Id: "a1"}}
	h.put(httpRecipient("crm", "CRM", true), "x")
	h.status = &outboundv1.Status{Recipients: []*outboundv1.RecipientStatus{{RecipientId: "crm", LastAttemptTime: timestamppb.Now()}}}
	if n := strings.Count(b.Get("/").Body, `<li class="done">`); n != 3 {
		t.Errorf("%d steps are done, want 3", n)
	}
}

func TestFormHelpers(t *testing.T) {
	h := newFixture(fullHTTP(), fullEmail())
	b := h.open(t).As("operator")
	b.Header.Set("HX-Request", "true")
	f := b.Get("/recipients/full-http").FormOf(t, form)
	f.Set("example", "event:a~1")
	inert(t, "the preview of a request", b.Post("/part/recipients/preview", f))
	if q := last[*outboundv1.PreviewRecipientRequest](t, h); q.GetEventId() != "a~1" || q.GetRecipient().GetHttp().GetMaxInFlight() != 3 {
		t.Errorf("the preview was asked for %v", q)
	}
	inert(t, "the preview of a mail", b.Post("/part/recipients/preview", b.Get("/recipients/full-email").FormOf(t, form)))
	inert(t, "the filter", b.Post("/part/recipients/filter", f))
	inert(t, "the macros", b.Post("/part/recipients/macros", url.Values{"eventTypes": {"end"}}))
	inert(t, "the test", b.Post("/recipients/full-http/test", url.Values{"eventType": {"begin"}}))
	inert(t, "diagnostics", b.Post("/recipients/full-http/diagnose", url.Values{"post": {"true"}}))
	if !last[*outboundv1.DoctorRecipientRequest](t, h).GetPost() {
		t.Error("diagnostics did not send a test request")
	}
	if bad := b.Post("/part/recipients/certificates?field=http.caCertificatePem",
		url.Values{"http.caCertificatePem": {"nonsense"}}); !strings.Contains(bad.Body, "contains no PEM certificate") {
		t.Errorf("nonsense is shown as %s", bad.Body)
	}
}

func TestPendingDeliveriesAreShownBeforeTheyAreCancelled(t *testing.T) {
	h := newFixture(fullHTTP())
	h.waiting = 3
	b := h.open(t).As("operator")
	if page := b.Get("/recipients/full-http/purge"); !strings.Contains(page.Body, "3 deliveries") ||
		!last[*outboundv1.PurgeRecipientRequest](t, h).GetValidateOnly() {
		t.Error("what would be cancelled is not shown, or was cancelled")
	}
	h.waiting = 4
	if answer := b.Post("/recipients/full-http/purge",
		url.Values{"expected": {"3"}}); answer.Header.Get("Location") != "/recipients/full-http/purge" {
		t.Errorf("more than was seen is cancelled: %v", answer.Header)
	}
	if page := b.Get("/recipients/full-http/delete"); !strings.Contains(page.Body, "4 deliveries") {
		t.Error("a deletion does not say what it cancels")
	}
	if b.Post("/recipients/full-http/delete", url.Values{"etag": {"stale"}}); h.find("full-http") == nil {
		t.Error("a recipient that changed concurrently is deleted")
	}
	if b.Post("/recipients/full-http/delete", url.Values{"etag": {h.find("full-http").GetEtag()}}); h.find("full-http") != nil {
		t.Error("it is not deleted")
	}
}
