package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	cenats "github.com/cloudevents/sdk-go/protocol/nats/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
)

// foreign are events as the official SDK makes them: valid by the specification, with nothing of Outbound's own.
func foreign(t *testing.T, at time.Time) []cloudevents.Event {
	t.Helper()
	var all []cloudevents.Event
	add := func(contentType string, data any, change func(*cloudevents.Event)) {
		e := cloudevents.NewEvent()
		e.SetID(fmt.Sprintf("6e8bc430-9c3a-11d9-9669-%012d", len(all)))
		e.SetSource("https://example.com/cloudevents/spec/pull?x=1#y")
		e.SetType("com.example.session.Ended")
		e.SetTime(at)
		if data != nil {
			must(t, e.SetData(contentType, data))
		}
		if change != nil {
			change(&e)
		}
		must(t, e.Validate())
		all = append(all, e)
	}
	add("", nil, nil)
	add("application/json", map[string]any{"version": "1.0", "customer": map[string]any{"name": "Zoë"}}, nil)
	add("application/json", []int{1, 2}, nil)
	add("application/json", "just a text", nil)
	add("application/json", []byte(`{"a":{"b":1.50}}`), nil) // the SDK sends it as data_base64 in structured mode
	add("text/xml", "<much wow=\"xml\"/>", nil)
	add("application/octet-stream", []byte{0, 1, 2, 255}, nil)
	add("application/problem+json; charset=utf-8", map[string]any{"title": "x"}, nil)
	for _, id := range []string{"A234-1234-1234", "urn:uuid:6e8bc430", "a.b.c", "*", ">", "a~b", "a=2Eb", "id with spaces", "ключ-é-😀",
		strings.Repeat("long.", 200)} {
		add("application/json", map[string]any{"id": id}, func(e *cloudevents.Event) { e.SetID(id) })
	}
	for _, source := range []string{"/sensors/tn-1234567/alerts", "urn:event:from:myapi/resource/123",
		"mailto:cncf-wg-serverless@lists.cncf.io",
		"1-555-123-4567", "../x", "#f"} {
		add("", nil, func(e *cloudevents.Event) { e.SetSource(source) })
	}
	for _, subject := range []string{"mynewfile.jpg", "a b > *", "/x/é", strings.Repeat("s", 300)} {
		add("", nil, func(e *cloudevents.Event) { e.SetSubject(subject) })
	}
	add("", nil, func(e *cloudevents.Event) { e.SetType("a type/with anything: é") })
	add("", nil, func(e *cloudevents.Event) { e.SetDataSchema("https://example.com/schema/1") })
	add("", nil, func(e *cloudevents.Event) {
		e.SetExtension("comexampleextension1", "value é \"quoted\" 100%")
		e.SetExtension("sequence2", 5)
		e.SetExtension("flag", true)
	})
	return all
}

// same compares an event with the one that is stored: in binary mode all values of attributes become texts.
func same(t *testing.T, sent cloudevents.Event, stored *event.Event, binary bool) {
	t.Helper()
	got := cloudevents.NewEvent()
	if err := got.UnmarshalJSON(stored.Raw); err != nil {
		t.Fatalf("%v in %s", err, stored.Raw)
	}
	if got.ID() != sent.ID() || got.Source() != sent.Source() || got.Type() != sent.Type() || got.Subject() != sent.Subject() ||
		!got.Time().Equal(sent.Time()) || got.DataSchema() != sent.DataSchema() || string(got.Data()) != string(sent.Data()) ||
		sent.DataContentType() != "" && got.DataContentType() != sent.DataContentType() {
		t.Errorf("sent   %s\nstored %s", sent, stored.Raw)
	}
	want, have := sent.Extensions(), got.Extensions()
	if binary {
		for name, value := range want {
			want[name] = fmt.Sprint(value)
		}
	}
	if diff := cmp.Diff(want, have); len(want) > 0 && diff != "" {
		t.Error(diff)
	}
	if stored.Appliance != "a-1" || stored.Type != kind || stored.Session != sent.Subject() || stored.SentID != sent.ID() ||
		stored.Source != sent.Source() || stored.Key() != "a-1~"+event.Token(sent.ID()) {
		t.Errorf("%+v", stored)
	}
}

// What the official SDK sends over HTTP is taken and kept as it was sent, in both modes.
func TestEventsOfTheOfficialSDKOverHTTP(t *testing.T) {
	h := open(t, defaults(), "a-1")
	p, err := cehttp.New(cehttp.WithTarget(h.url), cehttp.WithHeader("Authorization", "Bearer "+tokenOf("a-1")),
		cehttp.WithRoundTripper(&http.Transport{DisableKeepAlives: true}))
	must(t, err)
	client, err := cloudevents.NewClient(p)
	must(t, err)
	for i, e := range foreign(t, time.Now().UTC().Truncate(time.Microsecond)) {
		binary := i%2 == 0
		ctx := binding.WithForceStructured(t.Context())
		if binary {
			ctx = binding.WithForceBinary(t.Context())
		}
		if result := client.Send(ctx, e); !cloudevents.IsACK(result) {
			t.Fatalf("%s: %v", e, result)
		}
		stored, err := eventlog.New(h.bus).StoredEvent(t.Context(), uint64(i+1)) //nolint:gosec // a small number
		must(t, err)
		same(t, e, stored, binary)
	}
}

// The SDK publishes to NATS in structured mode and without a reply: what becomes of an event is in the record.
func TestEventsOfTheOfficialSDKOverNATS(t *testing.T) {
	h := open(t, defaults(), "a-1")
	nc := h.appliance("a-1")
	events := foreign(t, time.Now().UTC().Truncate(time.Microsecond))
	for i, e := range events {
		subject := bus.IngestSubjectOf("a-1", "_")
		if i%2 == 0 {
			subject = bus.IngestSubjectOf("a-1", kind)
		}
		sender, err := cenats.NewSenderFromConn(nc, subject)
		must(t, err)
		client, err := cloudevents.NewClient(sender)
		must(t, err)
		if result := client.Send(t.Context(), e); cloudevents.IsUndelivered(result) {
			t.Fatalf("%s: %v", e, result)
		}
		h.until(func() error {
			stored, err := eventlog.New(h.bus).StoredEvent(t.Context(), uint64(i+1)) //nolint:gosec // a small number
			if err == nil {
				same(t, e, stored, false)
			}
			return err
		})
	}
}

// Binary mode on NATS has the attributes in headers, and the content type in one of them or in Content-Type.
func TestBinaryModeOverNATS(t *testing.T) {
	h := open(t, defaults(), "a-1")
	nc := h.appliance("a-1")
	for i, headers := range []nats.Header{
		{"ce-specversion": {"1.0"}, "ce-id": {"%C3%A9 1"}, "ce-source": {"/a%20b"}, "ce-type": {kind},
			"ce-datacontenttype": {"application/json"}},
		{"Ce-Specversion": {"1.0"}, "Ce-Id": {"é 1-2"}, "Ce-Source": {"/a%20b"}, "Ce-Type": {kind}, "Content-Type": {"application/json"},
			"Ce-Myext": {`"a \"b\""`}},
		{"CE-SPECVERSION": {"1.0"}, "CE-ID": {"e 3"}, "CE-SOURCE": {"/a%20b"}, "CE-TYPE": {"com.example.session.Ended"}},
	} {
		m := nats.NewMsg(bus.IngestSubjectOf("a-1", kind))
		m.Header, m.Data = headers, []byte(`{"a":{"b":1}}`)
		answer, err := nc.RequestMsg(m, 10*time.Second)
		must(t, err)
		stored, err := eventlog.New(h.bus).StoredEvent(t.Context(), uint64(i+1)) //nolint:gosec // a small number
		if err != nil {
			t.Fatalf("%v: %s", err, answer.Data)
		}
		if !strings.Contains(string(answer.Data), stored.Key()) || stored.Source != "/a%20b" || len(stored.Variables) != 1 ||
			stored.Variables[0] != (event.Variable{Name: "a.b", Value: "1"}) {
			t.Errorf("%s; %+v", answer.Data, stored)
		}
		if i == 1 && !strings.Contains(string(stored.Raw), `"myext":"a \"b\""`) {
			t.Errorf("%s", stored.Raw)
		}
	}
}

// Whatever an appliance publishes on its own subjects is answered, and recorded if it is refused.
func TestASubjectOfSeveralTokensIsAnswered(t *testing.T) {
	h := open(t, defaults(), "a-1")
	nc := h.appliance("a-1")
	r := h.request(nc, "outbound.ingest.a-1.a.b.c", eventJSON("a-1", "e-1"))
	if vs := r.violations(); len(vs) != 1 || vs[0].Field != "type" || vs[0].Reason != event.ReasonSubjectMismatch {
		t.Errorf("%+v", r)
	}
	must(t, nc.Publish("outbound.ingest.a-1.x.y", []byte("no event")))
	h.until(func() error {
		rec, err := h.newest("a-1", false)
		if err == nil && string(rec.Raw) != "no event" {
			err = fmt.Errorf("the newest is %s", rec.Raw)
		}
		return err
	})
	r = h.request(nc, "outbound.ingest.a-1.com.example.session.Ended", eventJSON("a-1", "e-1", "type", `"com.example.session.Ended"`))
	if r.EventID != "a-1~e-1" {
		t.Errorf("%+v", r)
	}
}

// Keys that are odd are those of one id each: a repeat is a duplicate, an id that looks like an encoded one is another.
func TestOddIDsAreToldApart(t *testing.T) {
	h := open(t, defaults(), "a-1")
	keys := map[string]string{}
	for _, id := range []string{"a.b", "a=2Eb", "a=3D2Eb", "a b", "a_b", "==", "=", strings.Repeat("x.", 200), strings.Repeat("x.", 201)} {
		quoted, err := json.Marshal(id)
		must(t, err)
		first := h.post(tokenOf("a-1"), "application/cloudevents+json", eventJSON("a-1", "", "id", string(quoted)))
		again := h.post(tokenOf("a-1"), "application/cloudevents+json", eventJSON("a-1", "", "id", string(quoted)))
		if first.Status != 200 || first.Duplicate || !again.Duplicate || first.EventID != again.EventID || first.Sequence != again.Sequence {
			t.Errorf("%q: %+v, %+v", id, first, again)
		}
		if other, taken := keys[first.EventID]; taken {
			t.Errorf("%q and %q are both %s", id, other, first.EventID)
		}
		keys[first.EventID] = id
		h.until(func() error {
			_, token, _ := event.SplitKey(first.EventID)
			if _, found, err := h.history.Intake(t.Context(), "a-1", token); !found {
				return fmt.Errorf("no record of %s: %w", first.EventID, err)
			}
			return nil
		})
	}
}

// The appliance is who signed in; a source that is another appliance's id is refused.
func TestTheApplianceIsWhoSignedIn(t *testing.T) {
	h := open(t, defaults(), "a-1", "a-2")
	structured := "application/cloudevents+json"
	for _, c := range []struct {
		name, token, query string
		raw                []byte
		status             int
		key, field, reason string
	}{
		{"its own", tokenOf("a-1"), "", eventJSON("a-1", "e-1"), 200, "a-1~e-1", "", ""},
		{"a URI", tokenOf("a-1"), "", eventJSON("https://x/y", "e-2"), 200, "a-1~e-2", "", ""},
		{"no appliance's id", tokenOf("a-1"), "", eventJSON("somebody", "e-3"), 200, "a-1~e-3", "", ""},
		{"another's id", tokenOf("a-1"), "", eventJSON("a-2", "e-4"), 403, "", "source", event.ReasonNotYours},
		{"another named", tokenOf("a-1"), "?appliance_id=a-2", eventJSON("x", "e-4"), 403, "", "appliance_id", event.ReasonNotYours},
		{"an administrator's, by source", adminToken, "", eventJSON("a-2", "e-5"), 200, "a-2~e-5", "", ""},
		{"an administrator's, named", adminToken, "?appliance_id=a-2", eventJSON("/x", "e-6"), 200, "a-2~e-6", "", ""},
		{"an administrator's, of nobody", adminToken, "", eventJSON("/x", "e-7"), 400, "", "source", event.ReasonUnknownSource},
		{"an administrator's, of no id", adminToken, "?appliance_id=a.b", eventJSON("/x", "e-8"), 400, "", "appliance_id", event.ReasonUnsafe},
		{"an administrator's, of two", adminToken, "?appliance_id=a-1", eventJSON("a-2", "e-9"), 400, "", "source", event.ReasonSubjectMismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := h.url
			h.url += c.query
			defer func() { h.url = url }()
			r := h.post(c.token, structured, c.raw)
			vs := r.violations()
			if r.Status != c.status || r.EventID != c.key || c.field != "" && (len(vs) == 0 || vs[0].Field != c.field || vs[0].Reason != c.reason) {
				t.Errorf("%+v", r)
			}
		})
	}
}
