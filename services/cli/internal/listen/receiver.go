package listen

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// maxBody bounds a request: an event has at most 256 KiB, and a template may add to it.
const maxBody = 8 << 20

// receiver verifies and prints requests, and passes them on.
type receiver struct {
	printer *output.Printer
	secret  string
	forward *forward
	// received gets how many events have come, after each.
	received chan int

	mu sync.Mutex
	// seen are the events that have come, taken those that were answered well.
	seen, taken map[string]bool
}

func newReceiver(p *output.Printer, secret string, f *forward) *receiver {
	return &receiver{printer: p, secret: secret, forward: f, received: make(chan int, 1024), seen: map[string]bool{},
		taken: map[string]bool{}}
}

// request is a request as it is printed.
type request struct {
	Time      time.Time   `json:"time"`
	EventID   string      `json:"eventId"`
	EventType string      `json:"eventType"`
	Signature string      `json:"signature"`
	Repeated  bool        `json:"repeated"`
	Headers   http.Header `json:"headers"`
	Body      string      `json:"body"`
	// ForwardStatus is the status of the receiver behind --forward-to, ForwardError why it has none.
	ForwardStatus int     `json:"forwardStatus,omitempty"`
	ForwardError  string  `json:"forwardError,omitempty"`
	ForwardMs     float64 `json:"forwardMs,omitempty"`
}

// ServeHTTP implements http.Handler. A request that is not signed with the recipient's secret is not Outbound's, and is refused.
func (r *receiver) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, in.Body, maxBody))
	if err != nil {
		http.Error(w, "read the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	got := request{Time: time.Now().UTC(), EventID: in.Header.Get("webhook-id"), EventType: typeOf(in.Header, body), Signature: "valid",
		Headers: in.Header, Body: string(body)}
	hook, err := standardwebhooks.NewWebhook(r.secret)
	if err == nil {
		err = hook.Verify(body, in.Header)
	}
	if err != nil {
		got.Signature = "invalid: " + err.Error()
		r.show(got, false)
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
		return
	}
	status, answer := http.StatusOK, []byte(nil)
	if r.forward != nil {
		began := time.Now()
		status, answer, err = r.forward.send(in, body)
		got.ForwardStatus, got.ForwardMs = status, float64(time.Since(began).Microseconds())/1000
		if err != nil {
			got.ForwardStatus, got.ForwardError = 0, err.Error()
			status, answer = http.StatusBadGateway, []byte(err.Error())
		}
	}
	r.show(got, status >= 200 && status < 300)
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// show prints a request. An event counts once, when it is answered well.
func (r *receiver) show(got request, counts bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got.Repeated = r.seen[got.EventID]
	if got.Signature == "valid" {
		r.seen[got.EventID] = true
	}
	r.print(got)
	if !counts || r.taken[got.EventID] {
		return
	}
	r.taken[got.EventID] = true
	select {
	case r.received <- len(r.taken):
	default: // nobody waits for a count that large
	}
}

func (r *receiver) print(got request) {
	p := r.printer
	if p.Structured() {
		raw, err := json.Marshal(got)
		if err == nil {
			err = p.ShowJSONLine(raw)
		}
		if err != nil {
			p.Note("print an event: %v", err)
		}
		return
	}
	signature := p.Colored(output.Good, "signature valid")
	if got.Signature != "valid" {
		signature = p.Colored(output.Bad, "signature "+output.Clean(got.Signature))
	}
	line := []string{got.Time.Local().Format(time.TimeOnly), p.Colored(output.Strong, output.Clean(output.Dash(got.EventType))),
		output.Clean(output.Dash(got.EventID)), signature}
	if got.Repeated {
		line = append(line, "repeated")
	}
	if r.forward != nil && got.Signature == "valid" {
		line = append(line, r.forwarded(got))
	}
	p.SayRaw(strings.Join(line, "  "))
	for text := range strings.Lines(pretty(got.Body)) {
		p.Say("  %s", strings.TrimRight(text, "\n"))
	}
}

// forwarded says how the receiver behind --forward-to has answered.
func (r *receiver) forwarded(got request) string {
	if got.ForwardError != "" {
		return r.printer.Colored(output.Bad, "→ "+output.Clean(got.ForwardError))
	}
	kind := output.Good
	if got.ForwardStatus < 200 || got.ForwardStatus > 299 {
		kind = output.Bad
	}
	text := "→ " + output.Code(int32(got.ForwardStatus)) //nolint:gosec // a status has three digits
	return r.printer.Colored(kind, text+" in "+time.Duration(got.ForwardMs*float64(time.Millisecond)).Round(time.Millisecond).String())
}

// typeOf is the type of an event, in each of the formats.
func typeOf(h http.Header, body []byte) string {
	if t := h.Get("ce-type"); t != "" {
		return t
	}
	var event struct{ Type string }
	if json.Unmarshal(body, &event) == nil {
		return event.Type
	}
	if form, err := url.ParseQuery(string(body)); err == nil {
		return form.Get("event")
	}
	return ""
}

// pretty is a body as people read it: JSON indented, a form a field a line.
func pretty(body string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(body), "", "  ") == nil {
		return b.String()
	}
	form, err := url.ParseQuery(body)
	if err != nil || !strings.Contains(body, "=") || strings.Contains(body, "\n") {
		return body
	}
	lines := strings.Split(form.Encode(), "&")
	for i, line := range lines {
		if text, err := url.QueryUnescape(line); err == nil {
			lines[i] = text
		}
	}
	return strings.Join(lines, "\n")
}

// discard is a log for what the HTTP server says about connections, e.g. of the diagnosis, which sends no request.
func discard() *log.Logger { return log.New(io.Discard, "", 0) }
