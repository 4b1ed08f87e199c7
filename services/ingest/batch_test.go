package ingest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
)

// batched is the answer to a batch.
type batched struct {
	Accepted, Refused int
	Results           []struct {
		Index, Status int
		Event, Error  *reply
	}
	Details []struct {
		Violations event.Violations `json:"fieldViolations"`
	}
}

func (h *fixture) batch(token string, body []byte) (batched, int) {
	h.t.Helper()
	q, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url, bytes.NewReader(body))
	must(h.t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", "application/cloudevents-batch+json; charset=utf-8")
	a, err := http.DefaultClient.Do(q)
	must(h.t, err)
	defer func() { _ = a.Body.Close() }()
	raw, err := io.ReadAll(a.Body)
	must(h.t, err)
	http.DefaultClient.CloseIdleConnections()
	var b batched
	if err := json.Unmarshal(raw, &b); err != nil {
		h.t.Fatalf("%d %s: %v", a.StatusCode, raw, err)
	}
	return b, a.StatusCode
}

func array(events ...[]byte) []byte {
	return append(append([]byte("["), bytes.Join(events, []byte(","))...), ']')
}

func TestABatchHasAnAnswerForEachEvent(t *testing.T) {
	h := open(t, defaults(), "a-1", "a-2")
	good, other := eventJSON("a-1", "e-1"), eventJSON("/x", "e.2", "data", `[1]`)
	b, code := h.batch(tokenOf("a-1"), array(good, other, good))
	if code != 200 || b.Accepted != 3 || b.Refused != 0 || len(b.Results) != 3 {
		t.Fatalf("%d %+v", code, b)
	}
	for i, want := range []string{"a-1~e-1", "a-1~e=2E2", "a-1~e-1"} {
		if r := b.Results[i]; r.Index != i || r.Status != 200 || r.Event == nil || r.Event.EventID != want || r.Event.Duplicate != (i == 2) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	b, code = h.batch(tokenOf("a-1"), array(eventJSON("a-1", "e-3"), eventJSON("a-1", "e-4", "type", `"none"`), eventJSON("a-2", "e-5"), []byte("7"),
		eventJSON("a-1", "e-6", "data", `{"x":"`+strings.Repeat("x", event.MaxSize)+`"}`), eventJSON("a-1", "e-7")))
	if code != http.StatusMultiStatus || b.Accepted != 2 || b.Refused != 4 || len(b.Results) != 6 {
		t.Fatalf("%d %+v", code, b)
	}
	for i, want := range []struct {
		status int
		reason string
	}{{200, ""}, {400, event.ReasonUnknownType}, {403, event.ReasonNotYours}, {400, event.ReasonWrongType}, {413, event.ReasonTooLarge},
		{200, ""}} {
		r := b.Results[i]
		if r.Index != i || r.Status != want.status || (r.Event == nil) == (want.reason == "") {
			t.Errorf("%d: %+v", i, r)
		} else if r.Error != nil && r.Error.violations()[0].Reason != want.reason {
			t.Errorf("%d: %+v", i, r.Error)
		}
	}
	// They are stored in their order, each once.
	for i, want := range []string{"e-1", "e.2", "e-3", "e-7"} {
		e, err := eventlog.New(h.bus).StoredEvent(t.Context(), uint64(i+1)) //nolint:gosec // a small number
		must(t, err)
		if e.SentID != want {
			t.Errorf("%d: %s", i+1, e.Raw)
		}
	}
	last, err := eventlog.New(h.bus).LastSequence(t.Context())
	must(t, err)
	if last != 4 {
		t.Errorf("%d are stored", last)
	}
}

func TestABatchThatIsNoneIsRefusedAsAWhole(t *testing.T) {
	h := open(t, defaults(), "a-1")
	for _, c := range []struct {
		name, body string
		code       int
		reason     string
	}{
		{"one event", `{"specversion":"1.0"}`, 400, "WRONG_JSON_TYPE"},
		{"nothing", ``, 400, "WRONG_JSON_TYPE"},
		{"cut short", `[{"specversion":"1.0"}`, 400, "MALFORMED_JSON"},
		{"many", "[" + strings.Repeat("1,", 1000) + "1]", 400, "TOO_MANY"},
		{"large", "[" + strings.Repeat(" ", 8<<20) + "]", 413, "TOO_LARGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, code := h.batch(tokenOf("a-1"), []byte(c.body))
			if code != c.code || len(b.Details) == 0 || len(b.Details[0].Violations) == 0 || b.Details[0].Violations[0].Reason != c.reason {
				t.Errorf("%d %+v", code, b)
			}
		})
	}
	if b, code := h.batch(tokenOf("a-1"), []byte("[]")); code != 200 || len(b.Results) != 0 {
		t.Errorf("an empty batch: %d %+v", code, b)
	}
	if b, code := h.batch(tokenOf("a-1"), array(eventJSON("a-1", "e-1", "type", `"x"`))); code != 400 || len(b.Results) != 1 {
		t.Errorf("a batch without a good event: %d %+v", code, b)
	}
	if b, code := h.batch("no token", array(eventJSON("a-1", "e-1"))); code != 401 || len(b.Results) != 1 {
		t.Errorf("an unknown token: %d %+v", code, b)
	}
}

// A body in an encoding or a format that nobody reads says nothing about an event: it is answered with what would be read, and not
// recorded.
func TestWhatCanNotBeReadIsAnswered415(t *testing.T) {
	h := open(t, defaults(), "a-1")
	post := func(headers ...string) *http.Response {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url, bytes.NewReader(eventJSON("a-1", "e-1")))
		must(t, err)
		q.Header.Set("Authorization", "Bearer "+tokenOf("a-1"))
		q.Header.Set("Content-Type", "application/cloudevents+json")
		for i := 0; i < len(headers); i += 2 {
			q.Header.Set(headers[i], headers[i+1])
		}
		a, err := http.DefaultClient.Do(q)
		must(t, err)
		_ = a.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		return a
	}
	for _, coding := range []string{"gzip", "br", "deflate", "GZIP", "identity, zstd", "aes128gcm"} {
		a := post("Content-Encoding", coding)
		if a.StatusCode != http.StatusUnsupportedMediaType || a.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("%s: %d %v", coding, a.StatusCode, a.Header)
		}
	}
	for _, format := range []string{"application/cloudevents+xml", "application/cloudevents+avro", "application/cloudevents",
		"application/cloudevents-batch+protobuf"} {
		a := post("Content-Type", format)
		if a.StatusCode != http.StatusUnsupportedMediaType || !strings.Contains(a.Header.Get("Accept"), "application/cloudevents+json") {
			t.Errorf("%s: %d %v", format, a.StatusCode, a.Header)
		}
	}
	for _, coding := range []string{"identity", "Identity", ""} {
		if a := post("Content-Encoding", coding); a.StatusCode != http.StatusOK {
			t.Errorf("%q: %d", coding, a.StatusCode)
		}
	}
	// What was refused would have been recorded before what was accepted.
	h.until(func() error { _, err := h.newest("a-1", true); return err })
	list, err := h.history.Intakes(t.Context(), "", false, true, 0, 10)
	must(t, err)
	if len(list) != 0 {
		t.Errorf("%d are recorded as rejected", len(list))
	}
}
