package eventhttp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/rpc/eventhttp"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// headersOf reads lines of `name: value`.
func headersOf(lines string) map[string][]string {
	out := map[string][]string{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && name != "" {
			out[name] = append(out[name], value)
		}
	}
	return out
}

// FuzzStructured makes events of headers and bodies. What is made of valid text is valid JSON and holds the body as it was.
func FuzzStructured(f *testing.F) {
	f.Add("ce-id: e-1\nce-source: a-1\nContent-Type: application/json", []byte(`{"a":[1,2.50]}`))
	f.Add("CE-Type: %E2%82%AC%zz\nce-id: \"a\\\"b\"\nContent-Type: text/plain; charset=utf-8", []byte("line\r\n\"\\\x01"))
	f.Add("ce-datacontenttype: image/png\nce-id: \nce-id: twice", []byte("\x89PNG\r\n\x1a\n\x00"))
	f.Add("Content-Type: application/cloudevents+json", []byte(`{"id":"e-1"}`))
	f.Add("ce-dataschema: https://x/%20y\nContent-Type: ;", []byte("null"))
	f.Fuzz(func(t *testing.T, lines string, body []byte) {
		header := headersOf(lines)
		out := eventhttp.Structured(header, body)
		if len(out) > 6*(len(lines)+len(body))+64*(len(header)+1) {
			t.Fatalf("%d bytes are made of %d and %d", len(out), len(lines), len(body))
		}
		if bytes.Equal(out, body) || !utf8.Valid(out) || !utf8.ValidString(lines) {
			return // not in binary mode, or for the intake to refuse
		}
		var e struct {
			Data   json.RawMessage `json:"data"`
			Base64 *string         `json:"data_base64"`
		}
		if err := json.Unmarshal(out, &e); err != nil {
			if n := strings.Count(strings.ToLower(lines), "ce-data"); n > 0 {
				return // a header named like a member of the body, of another type
			}
			t.Fatalf("%q and %q make %q: %v", lines, body, out, err)
		}
		if strings.Contains(strings.ToLower(lines), "ce-data") {
			return
		}
		sameData(t, e.Data, e.Base64, body)
	})
}

// sameData compares the data of an event with the body that it was made of.
func sameData(t *testing.T, data json.RawMessage, encoded *string, body []byte) {
	t.Helper()
	var text string
	switch {
	case len(body) == 0:
		if data != nil || encoded != nil {
			t.Errorf("an empty body became %s", data)
		}
	case encoded != nil:
		if raw, err := base64.StdEncoding.DecodeString(*encoded); err != nil || !bytes.Equal(raw, body) {
			t.Errorf("%q became %q, %v", body, raw, err)
		}
	case bytes.Equal(data, bytes.TrimSpace(body)):
	case data == nil && string(bytes.TrimSpace(body)) == "null":
	default:
		if err := json.Unmarshal(data, &text); err != nil || text != string(body) {
			t.Errorf("%q became %s", body, data)
		}
	}
}

// counted takes in every event and remembers it.
type counted struct {
	outboundv1.EventServiceClient
	raws [][]byte
}

// PublishEvent implements outboundv1.EventServiceClient.
func (c *counted) PublishEvent(_ context.Context, q *outboundv1.PublishEventRequest, _ ...grpc.CallOption) (
	*outboundv1.PublishEventResponse, error,
) {
	c.raws = append(c.raws, q.GetJson())
	return &outboundv1.PublishEventResponse{EventId: "a-1~e-1"}, nil
}

// FuzzBatch posts batches: each event is handed on once and as it was, in order, or none is and the answer says why.
func FuzzBatch(f *testing.F) {
	for _, s := range []string{`[]`, `[{"id":"e-1"}, {"id":"\ud800"} ]`, ` [1,"a",null,[[]]]`, `{"id":"e-1"}`, `[{]`, ``, "[\xff]",
		`[{"a":1},]`, strings.Repeat("[", 20000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &counted{}
		q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", bytes.NewReader(body))
		q.Header.Set("Content-Type", "application/cloudevents-batch+json")
		w := httptest.NewRecorder()
		eventhttp.New(c).ServeHTTP(w, q)
		var want []json.RawMessage
		valid := json.Unmarshal(body, &want) == nil && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("["))
		switch {
		case !valid || len(want) > 1000:
			if w.Code != http.StatusBadRequest || len(c.raws) > 0 || !strings.Contains(w.Body.String(), "description") {
				t.Errorf("%q: %d %s after %d events", body, w.Code, w.Body, len(c.raws))
			}
		case w.Code != http.StatusOK || len(c.raws) != len(want):
			t.Errorf("%q: %d, %d events", body, w.Code, len(c.raws))
		default:
			for i := range want {
				if !bytes.Equal(c.raws[i], want[i]) {
					t.Errorf("event %d is %q, want %q", i, c.raws[i], want[i])
				}
			}
		}
	})
}
