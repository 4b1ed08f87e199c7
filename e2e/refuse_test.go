package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// badEvent is one way in which an event can be wrong.
type badEvent struct {
	name  string
	raw   []byte
	kind  string // the last token of the subject
	code  codes.Code
	http  int
	field string
	why   string
}

// badEvents are the ways that an appliance's events can be wrong; each is a correct event but for one fault.
func badEvents(appliance string) []badEvent {
	const kind = "support_conference_end"
	made := 0
	spoil := func(change func(e *harness.Event)) []byte {
		made++
		e := harness.NewEvent(appliance, fmt.Sprint("bad-", made), kind, harness.Object{"external_key": "INC-1"})
		change(&e)
		raw, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		return raw
	}
	at := func(d time.Duration) []byte {
		return spoil(func(e *harness.Event) { e.Time = time.Now().Add(d).UTC().Format(time.RFC3339) })
	}
	good := string(spoil(func(*harness.Event) {}))
	const invalid, bad = codes.InvalidArgument, http.StatusBadRequest
	return []badEvent{
		{"unknown type", spoil(func(e *harness.Event) { e.Type = "no_such_type" }), "no_such_type", invalid, bad, "type", "UNKNOWN_TYPE"},
		{"malformed JSON", []byte(good[:len(good)-9]), kind, invalid, bad, "", "MALFORMED_JSON"},
		{"not an object", []byte(`["x"]`), kind, invalid, bad, "", "WRONG_JSON_TYPE"},
		{"no id", spoil(func(e *harness.Event) { e.ID = "" }), kind, invalid, bad, "id", "MISSING"},
		{"unsafe id", spoil(func(e *harness.Event) { e.ID = "a\tb" }), kind, invalid, bad, "id", "UNSAFE_CHARACTERS"},
		{"unsafe session", spoil(func(e *harness.Event) { e.Subject = "a\nb" }), kind, invalid, bad, "subject", "UNSAFE_CHARACTERS"},
		{"invalid UTF-8", []byte(strings.Replace(good, "INC-1", "INC-\xff", 1)), kind, invalid, bad, "", "INVALID_UTF8"},
		{"too old", at(-9 * 24 * time.Hour), kind, invalid, bad, "time", "TIME_OUT_OF_RANGE"},
		{"too far ahead", at(time.Hour), kind, invalid, bad, "time", "TIME_OUT_OF_RANGE"},
		{"too large", spoil(func(e *harness.Event) { e.Data = harness.Object{"x": strings.Repeat("x", 256<<10)} }), kind,
			codes.OutOfRange, http.StatusRequestEntityTooLarge, "", "TOO_LARGE"},
	}
}

// named checks that a problem names a fault in a field and says what to do.
func named(t *testing.T, p harness.Problem, code codes.Code, field, why string) {
	t.Helper()
	if codes.Code(p.Code) != code { //nolint:gosec // a status code is small
		t.Errorf("refused with %v, want %v: %s", codes.Code(p.Code), code, p.Message) //nolint:gosec // a status code is small
	}
	i := slices.IndexFunc(p.Violations, func(v harness.Violation) bool { return v.Reason == why && (field == "" || v.Field == field) })
	if i < 0 {
		t.Fatalf("refused for %+v, want %s in %q", p.Violations, why, field)
	}
	if len(p.Violations[i].Description) < 10 {
		t.Errorf("the fault is described as %q, which tells no remedy", p.Violations[i].Description)
	}
}

func refusesBadEvents(t *testing.T, h *harness.System) {
	a, other := h.AddAppliance(t, "bad-nats"), h.AddAppliance(t, "bad-nats-other")
	cases := append(badEvents(a.ID), badEvent{"another's source", badEvents(other.ID)[9].small(t), "support_conference_end",
		codes.InvalidArgument, 0, "source", "SUBJECT_MISMATCH"})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := waittest.Context(t.Context())
			defer cancel()
			m, err := a.RequestUntilAnswered(ctx, t, c.kind, c.raw)
			if err != nil {
				t.Fatal(err)
			}
			if m.Header.Get("Nats-Service-Error-Code") == "" || m.Header.Get("Nats-Service-Error") == "" {
				t.Errorf("the reply lacks the error headers: %v", m.Header)
			}
			code := c.code
			named(t, harness.ReadProblem(t, m.Data), code, c.field, c.why)
		})
	}
	recorded(t, h, a.ID, cases, "nats")
	publish(t, a, harness.NewEvent(a.ID, "good", "support_conference_end", harness.Object{}))
}

// small is the event without the data that makes it too large.
func (b badEvent) small(t *testing.T) []byte {
	t.Helper()
	var e harness.Event
	if err := json.Unmarshal(b.raw, &e); err != nil {
		t.Fatal(err)
	}
	e.Data = harness.Object{}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func refusesBadPosts(t *testing.T, h *harness.System) {
	a, other := h.AddAppliance(t, "bad-post"), h.AddAppliance(t, "bad-post-other")
	cases := badEvents(a.ID)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer, err := a.PostRawUntilAnswered(t, c.raw)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != c.http {
				t.Errorf("answered %d, want %d: %s", answer.Status, c.http, answer.Body)
			}
			named(t, harness.ReadProblem(t, answer.Body), c.code, c.field, c.why)
		})
	}
	recorded(t, h, a.ID, cases, "http")
	t.Run("another's source", func(t *testing.T) {
		answer, err := a.PostRawUntilAnswered(t, badEvents(other.ID)[9].small(t))
		if err != nil {
			t.Fatal(err)
		}
		if answer.Status != http.StatusForbidden {
			t.Errorf("answered %d %s, want 403", answer.Status, answer.Body)
		}
	})
	if _, err := a.PostUntilAccepted(t, harness.NewEvent(a.ID, "good", "support_conference_end", harness.Object{})); err != nil {
		t.Errorf("a good event after the bad ones: %v", err)
	}
}

// recorded checks that history shows a rejected record for each bad event, with its reason.
func recorded(t *testing.T, h *harness.System, appliance string, cases []badEvent, via string) {
	t.Helper()
	waittest.NoError(t, "the rejected records of "+appliance, func() error {
		list, _ := h.REST.Do(t, http.MethodGet, "/v1/events?decision=REJECTED&page_size=100&appliance_id="+appliance, nil)["events"].([]any)
		var reasons []string
		for _, x := range list {
			e := x.(harness.Object)
			if e["decision"] != "REJECTED" || e["via"] != via || e["raw"] == "" {
				return fmt.Errorf("a record reads %v", e)
			}
			vs, _ := e["violations"].([]any)
			for _, v := range vs {
				reasons = append(reasons, fmt.Sprint(v.(harness.Object)["reason"]))
			}
		}
		for _, c := range cases {
			if !slices.Contains(reasons, c.why) {
				return fmt.Errorf("%s is not among the recorded reasons %v", c.why, reasons)
			}
		}
		if len(list) < len(cases) {
			return fmt.Errorf("%d records for %d bad events", len(list), len(cases))
		}
		return nil
	})
}

func answersRepeats(t *testing.T, h *harness.System) {
	a := h.AddAppliance(t, "repeats-1")
	e := harness.NewEvent(a.ID, "e-1", "support_conference_end", harness.Object{})
	first := publish(t, a, e)
	again := publish(t, a, e)
	posted, err := a.PostUntilAccepted(t, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []harness.Reply{again, posted} {
		if !r.Duplicate || r.Sequence != first.Sequence || r.EventID != first.EventID {
			t.Errorf("a repeat of %+v is answered %+v", first, r)
		}
	}
}

func refusesBadRecipients(t *testing.T, h *harness.System) {
	code, p := h.REST.Refused(t, http.MethodPost, "/v1/recipients", harness.Object{
		"displayName": "", "eventTypes": []string{"no_such_type"},
		"http": harness.Object{"url": "ftp://example.com/x", "maxInFlight": 1000, "timeout": "3600s"},
	})
	if code != http.StatusBadRequest || codes.Code(p.Code) != codes.InvalidArgument { //nolint:gosec // a status code is small
		t.Errorf("refused with %d %+v", code, p)
	}
	fields := strings.Join(p.Fields(), " ")
	for _, f := range []string{"displayName", "eventTypes", "http.url", "http.maxInFlight", "http.timeout"} {
		if !strings.Contains(fields, f) {
			t.Errorf("the violations are in %q: %s is missing", fields, f)
		}
	}
	code, p = h.REST.Refused(t, http.MethodPost, "/v1/recipients", harness.Object{
		"displayName": "Mail of a start", "eventTypes": []string{"support_conference_begin"},
		"email": harness.Object{"addresses": []string{"not an address"}},
	})
	if fields = strings.Join(p.Fields(), " "); code != http.StatusBadRequest || !strings.Contains(fields, "eventTypes") ||
		!strings.Contains(fields, "email.addresses") {
		t.Errorf("refused with %d in %q", code, fields)
	}
	code, _ = h.REST.Refused(t, http.MethodPost, "/v1/recipients", []byte(`{"displayName":`))
	if code != http.StatusBadRequest {
		t.Errorf("malformed JSON is answered %d", code)
	}
	code, _ = h.REST.Refused(t, http.MethodGet, "/v1/recipients/no-such-recipient", nil)
	if code != http.StatusNotFound {
		t.Errorf("an unknown recipient is answered %d", code)
	}
}

func conflictsConflict(t *testing.T, h *harness.System) {
	r := webhook("Conflict", "http://127.0.0.1:9/x", []string{"support_conference_end"}, nil)
	r["enabled"] = false
	made := h.REST.Do(t, http.MethodPost, "/v1/recipients", r)
	again := webhook(" conflict ", "http://127.0.0.1:9/x", []string{"support_conference_end"}, nil)
	again["id"] = "another-id"
	for _, taken := range []harness.Object{again,
		{"id": made["id"], "displayName": "Other", "eventTypes": r["eventTypes"], "http": r["http"]}} {
		if code, p := h.REST.Refused(t, http.MethodPost, "/v1/recipients", taken); code != http.StatusConflict ||
			p.Code != int(codes.AlreadyExists) {
			t.Errorf("a taken name or id is answered %d %+v", code, p)
		}
	}
	path := fmt.Sprint("/v1/recipients/", made["id"])
	changed := h.REST.Do(t, http.MethodPatch, path, harness.Object{"displayName": "Conflict 2", "etag": made["etag"]})
	if changed["etag"] == made["etag"] || changed["displayName"] != "Conflict 2" || changed["enabled"] != false {
		t.Errorf("changed to %v", changed)
	}
	code, p := h.REST.Refused(t, http.MethodPatch, path, harness.Object{"displayName": "Conflict 3", "etag": made["etag"]})
	if code != http.StatusConflict || p.Code != int(codes.Aborted) {
		t.Errorf("a stale etag is answered %d %+v", code, p)
	}
	if code, p = h.REST.Refused(t, http.MethodDelete, path+"?etag="+fmt.Sprint(made["etag"]), nil); p.Code != int(codes.Aborted) {
		t.Errorf("a delete with a stale etag is answered %d %+v", code, p)
	}
	h.REST.Do(t, http.MethodDelete, path+"?etag="+fmt.Sprint(changed["etag"]), nil)
}
