package ingest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
)

const kind = "support_conference_end"

// eventJSON is an event as an appliance writes it, with changes: an empty value removes an attribute.
func eventJSON(appliance, id string, changes ...string) []byte {
	m := map[string]any{
		"specversion": "1.0", "id": id, "source": appliance, "type": kind, "time": time.Now().UTC().Format(time.RFC3339Nano),
		"subject": "s1", "data": map[string]any{"external_key": "INC-1", "duration": 12},
	}
	for i := 0; i < len(changes); i += 2 {
		m[changes[i]] = json.RawMessage(changes[i+1])
		if changes[i+1] == "" {
			delete(m, changes[i])
		}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return raw
}

func TestAStockClientIsAnsweredOnceTheEventIsKept(t *testing.T) {
	h := open(t, defaults(), "a-1")
	raw := eventJSON("a-1", "e-1")
	r := h.request(h.appliance("a-1"), bus.IngestSubjectOf("a-1", kind), raw)
	if r.EventID != "a-1~e-1" || r.Sequence != "1" || r.Duplicate || r.Header.Get(micro.ErrorHeader) != "" {
		t.Fatalf("%+v", r)
	}
	e, err := eventlog.New(h.bus).StoredEvent(t.Context(), 1)
	must(t, err)
	if string(e.Raw) != string(raw) {
		t.Errorf("stored %s", e.Raw)
	}
	h.until(func() error {
		rec, found, err := h.history.Intake(t.Context(), "a-1", "e-1")
		if err != nil || !found {
			return fmt.Errorf("no record: %w", err)
		}
		if rec.Sequence != 1 || rec.Via != "nats" || rec.ExternalKey != "INC-1" || rec.Session != "s1" || rec.Raw != nil {
			t.Errorf("%+v", rec)
		}
		return nil
	})
}

func TestAnEventWithoutTimeGetsOursAndKeepsIt(t *testing.T) {
	h := open(t, defaults(), "a-1")
	began := time.Now()
	if r := h.post(adminToken, "application/json", eventJSON("a-1", "e-1", "time", "")); r.Status != 200 {
		t.Fatalf("%+v", r)
	}
	e, err := eventlog.New(h.bus).StoredEvent(t.Context(), 1)
	must(t, err)
	if e.Time.Before(began.Truncate(time.Second)) || e.Time.After(time.Now()) || !strings.Contains(string(e.Raw), `"time":"`) {
		t.Errorf("%s %s", e.Time, e.Raw)
	}
}

func TestATypeOfOnesOwnIsTaken(t *testing.T) {
	h := open(t, defaults(), "a-1")
	if r := h.post(tokenOf("a-1"), "application/cloudevents+json", eventJSON("a-1", "e-1", "type", `"backup_done"`)); r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

// fault is a way in which an event can be wrong.
type fault struct {
	name   string
	raw    []byte
	code   codes.Code
	status int
	field  string
	reason string
	remedy string
}

func faults(appliance string) []fault {
	at := func(d time.Duration) []byte {
		return eventJSON(appliance, "bad", "time", `"`+time.Now().Add(d).UTC().Format(time.RFC3339)+`"`)
	}
	good := string(eventJSON(appliance, "bad"))
	const c, s = codes.InvalidArgument, 400
	return []fault{
		{"unknown type", eventJSON(appliance, "bad", "type", `"support_conference_ends"`), c, s, "type", event.ReasonUnknownType,
			"did you mean " + kind},
		{"malformed", []byte(good[:len(good)-3]), c, s, "type", event.ReasonMalformed, "at byte"},
		{"no id", eventJSON(appliance, "", "id", ""), c, s, "id", event.ReasonMissing, "give each event"},
		{"oversize", eventJSON(appliance, "bad", "data", `{"x":"`+strings.Repeat("x", event.MaxSize)+`"}`), codes.OutOfRange, 413, "",
			event.ReasonTooLarge, "send less"},
		{"unsafe", eventJSON(appliance, "bad\nid>"), c, s, "id", event.ReasonUnsafe, "remove them"},
		{"not UTF-8", []byte(strings.Replace(good, "INC", "I\xffC", 1)), c, s, "", event.ReasonInvalidUTF8, "encode"},
		{"old", at(-9 * 24 * time.Hour), c, s, "time", event.ReasonTime, "clock"},
		{"ahead", at(time.Hour), c, s, "time", event.ReasonTime, "clock"},
		{"capitals", eventJSON(appliance, "bad", "myExt", `"x"`), c, s, "myExt", event.ReasonUnsafe, "lower-case"},
		{"nothing", nil, c, s, "", event.ReasonMalformed, "incomplete"},
	}
}

func (h *fixture) checkRejected(f fault, r reply, via string) {
	h.t.Helper()
	vs := r.violations()
	if codes.Code(r.Code) != f.code || len(vs) == 0 || vs[0].Field != f.field || vs[0].Reason != f.reason ||
		!strings.Contains(vs[0].Description, f.remedy) {
		h.t.Errorf("answered %+v", r)
	}
	h.until(func() error {
		rec, err := h.newest("a-1", false)
		if err != nil {
			return err
		}
		if len(rec.Violations) == 0 || rec.Violations[0].Reason != f.reason || rec.Via != via {
			return fmt.Errorf("recorded %+v, want %s", rec, f.reason)
		}
		if want := f.raw[:min(len(f.raw), event.MaxRawKept)]; string(rec.Raw) != string(want) {
			// The record before this one may have the same reason.
			return fmt.Errorf("recorded %q, want %q", rec.Raw, want)
		}
		return nil
	})
}

func TestBadEventsAreRejectedWithReasonsAndRecorded(t *testing.T) {
	h := open(t, defaults(), "a-1", "a-2")
	nc := h.appliance("a-1")
	cases := append(faults("a-1"),
		fault{"another's source", eventJSON("a-2", "e"), codes.InvalidArgument, 0, "source", event.ReasonSubjectMismatch, "a-1"},
		fault{"another type", eventJSON("a-1", "e", "type", `"support_conference_begin"`), codes.InvalidArgument, 0, "type",
			event.ReasonSubjectMismatch, kind})
	for _, f := range cases {
		t.Run(f.name, func(t *testing.T) {
			subject := bus.IngestSubjectOf("a-1", kind)
			if f.reason == event.ReasonUnknownType {
				subject = bus.IngestSubjectOf("a-1", "support_conference_ends")
			}
			r := h.request(nc, subject, f.raw)
			if r.Header.Get(micro.ErrorHeader) == "" || r.Header.Get(micro.ErrorCodeHeader) == "" {
				t.Errorf("headers %v", r.Header)
			}
			h.checkRejected(f, r, "nats")
		})
	}
	if r := h.request(nc, bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", "good")); r.EventID != "a-1~good" {
		t.Errorf("afterwards: %+v", r)
	}
	if n := h.counts.of("rejected SUBJECT_MISMATCH nats"); n != 2 {
		t.Errorf("counted %d mismatches", n)
	}
}

func TestBadPostsAreRejectedWithReasonsAndRecorded(t *testing.T) {
	h := open(t, defaults(), "a-1")
	for _, f := range faults("a-1") {
		t.Run(f.name, func(t *testing.T) {
			r := h.post(tokenOf("a-1"), "application/cloudevents+json", f.raw)
			if r.Status != f.status {
				t.Errorf("status %d", r.Status)
			}
			h.checkRejected(f, r, "http")
		})
	}
	if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "good")); r.EventID != "a-1~good" {
		t.Errorf("afterwards: %+v", r)
	}
}

func TestAllFaultsOfAnEventAreToldAtOnce(t *testing.T) {
	h := open(t, defaults(), "a-1")
	raw := eventJSON("a-1", "bad\tid", "type", `"nonsense"`, "time", `"2001-01-01T00:00:00Z"`, "data", `{"external_key":1}`,
		"specversion", "")
	r := h.post(adminToken, "application/json", raw)
	var got []string
	for _, v := range r.violations() {
		got = append(got, v.Field)
	}
	if s := strings.Join(got, " "); s != "data.external_key specversion id time type" {
		t.Errorf("%s", s)
	}
}

func TestATokenPublishesAsItsApplianceAlone(t *testing.T) {
	h := open(t, defaults(), "a-1", "a-2")
	r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-2", "e-1"))
	if r.Status != 403 || codes.Code(r.Code) != codes.PermissionDenied || r.violations()[0].Field != "source" {
		t.Errorf("%+v", r)
	}
	h.until(func() error { _, err := h.newest("a-1", false); return err })
	for _, token := range []string{"", "nobody's"} {
		if r := h.post(token, "application/json", eventJSON("a-1", "e-1")); r.Status != 401 {
			t.Errorf("%q: %+v", token, r)
		}
	}
	if r := h.post(adminToken, "application/json", eventJSON("never-registered", "e-1")); r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

func TestARepeatIsAnsweredWithTheFirstSequence(t *testing.T) {
	h := open(t, defaults(), "a-1", "a-2")
	nc := h.appliance("a-1")
	subject := bus.IngestSubjectOf("a-1", kind)
	h.request(nc, subject, eventJSON("a-1", "e-0"))
	first := h.request(nc, subject, eventJSON("a-1", "e-1"))
	again := h.request(nc, subject, eventJSON("a-1", "e-1", "data", `{"other":"body"}`))
	posted := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "e-1"))
	if !again.Duplicate || again.Sequence != first.Sequence || !posted.Duplicate || posted.Sequence != first.Sequence {
		t.Errorf("%+v %+v %+v", first, again, posted)
	}
	if r := h.post(tokenOf("a-2"), "application/json", eventJSON("a-2", "e-1")); r.Duplicate {
		t.Errorf("another appliance's event is taken for a repeat: %+v", r)
	}
}

// The stream forgets an id after 10 minutes; that an event is older than that is all the intake sees of it.
func TestAnOldRepeatIsKnownFromHistory(t *testing.T) {
	h := open(t, defaults(), "a-1")
	done := make(chan error, 1)
	h.history.AppendIntake(event.IntakeRecord{Accepted: true, Appliance: "a-1", EventID: "e-1", Type: kind, Sequence: 4711,
		Time: time.Now(), Via: "nats"},
		func(err error) { done <- err })
	if err := <-done; !errors.Is(err, delivery.ErrAlreadyRecorded) { // a slow broker has stored it at the first try
		must(t, err)
	}
	old := `"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `"`
	for _, at := range []string{old, ""} {
		if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "e-1", "time", at)); !r.Duplicate || r.Sequence != "4711" {
			t.Errorf("%+v", r)
		}
	}
	if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "e-2", "time", old)); r.Duplicate || r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

func TestManyPublishersAreKeptExactlyOnce(t *testing.T) {
	const publishers, each = 64, 80
	h := open(t, defaults(), "a-1")
	var wg sync.WaitGroup
	for p := range publishers {
		nc := h.appliance("a-1")
		wg.Go(func() {
			for i := range each {
				m, err := nc.Request(bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", fmt.Sprintf("e-%d-%d", p, i)), waittest.Limit)
				if err != nil || m.Header.Get(micro.ErrorHeader) != "" {
					t.Errorf("%v %v", m, err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for seq := uint64(1); seq <= publishers*each; seq++ {
		e, err := eventlog.New(h.bus).StoredEvent(t.Context(), seq)
		must(t, err)
		seen[e.ID]++
	}
	last, err := eventlog.New(h.bus).LastSequence(t.Context())
	must(t, err)
	if len(seen) != publishers*each || last != publishers*each {
		t.Errorf("%d events in %d messages", len(seen), last)
	}
	if n := h.counts.of("accepted  nats"); n != publishers*each {
		t.Errorf("counted %d", n)
	}
}

func TestAFullStoreRefusesAndTheServiceGoesOn(t *testing.T) {
	o := defaults()
	o.streams.EventsMaxBytes = 64 << 10
	h := open(t, o, "a-1")
	data := `{"x":"` + strings.Repeat("x", 30<<10) + `"}`
	var r reply
	for i := range 4 {
		r = h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", fmt.Sprint("e-", i), "data", data))
	}
	if r.Status != 429 || codes.Code(r.Code) != codes.ResourceExhausted {
		t.Errorf("%+v", r)
	}
	if r := h.request(h.appliance("a-1"), bus.IngestSubjectOf("a-1", kind),
		eventJSON("a-1", "e-4", "data", data)); r.Header.Get(micro.ErrorCodeHeader) != "429" {
		t.Errorf("%+v", r)
	}
	if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "small")); r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

func TestWithoutConfigurationItAsksToTryAgain(t *testing.T) {
	o := defaults()
	o.unknownConfig = true
	h := open(t, o, "a-1")
	nc := h.appliance("a-1")
	h.until(func() error {
		m, err := nc.Request(bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", "e-1"), waittest.Limit)
		if err == nil && m.Header.Get(micro.ErrorCodeHeader) != "503" {
			t.Errorf("%s", m.Data)
		}
		return err
	})
	if h.service.Ready(t.Context()) == nil {
		t.Error("ready without configuration")
	}
	close(h.known)
	h.awaitReady()
	if r := h.request(nc, bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", "e-1")); r.Sequence != "1" {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsTooMuchAtOnceIsToldToTryAgain(t *testing.T) {
	o := defaults()
	o.options.MaxInFlight = 1
	h := open(t, o, "a-1")
	nc := h.appliance("a-1")
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	must(t, err)
	const sent = 50
	for i := range sent {
		must(t, nc.PublishRequest(bus.IngestSubjectOf("a-1", kind), inbox, eventJSON("a-1", fmt.Sprint("e-", i))))
	}
	kept := 0
	for range sent {
		m, err := sub.NextMsg(waittest.Limit)
		must(t, err)
		switch m.Header.Get(micro.ErrorCodeHeader) {
		case "":
			kept++
		case "503":
		default:
			t.Errorf("%s", m.Data)
		}
	}
	last, err := eventlog.New(h.bus).LastSequence(t.Context())
	must(t, err)
	if kept == 0 || int(last) != kept {
		t.Errorf("%d answered as kept, %d in the stream", kept, last)
	}
}

func TestRunAnswersWhatItHasTakenBeforeItEnds(t *testing.T) {
	h := open(t, defaults(), "a-1")
	nc := h.appliance("a-1")
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	must(t, err)
	const sent = 200
	for i := range sent {
		must(t, nc.PublishRequest(bus.IngestSubjectOf("a-1", kind), inbox, eventJSON("a-1", fmt.Sprint("e-", i))))
	}
	_, err = sub.NextMsg(waittest.Limit)
	must(t, err)
	h.stop()
	must(t, h.bus.IntakeConn().Flush())
	kept := 1
	for range sent - 1 {
		m, err := sub.NextMsg(waittest.Limit)
		if errors.Is(err, nats.ErrNoResponders) {
			continue
		}
		must(t, err) // each request is answered, by the service or by the broker
		if m.Header.Get(micro.ErrorCodeHeader) == "" {
			kept++
		}
	}
	last, err := eventlog.New(h.bus).LastSequence(t.Context())
	must(t, err)
	if int(last) != kept {
		t.Errorf("%d answered as kept, %d in the stream", kept, last)
	}
	if r := h.post(adminToken, "application/json", eventJSON("a-1", "late")); r.Status != 503 {
		t.Errorf("%+v", r)
	}
}
