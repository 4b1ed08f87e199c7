package demo

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// arrival is one message as a receiver got it.
type arrival struct {
	// Recipient it was addressed to.
	Recipient string
	// EventKey is the webhook-id, or what a mail says of its event.
	EventKey string
	// Refused says that the receiver answered 500: it does not count as arrived.
	Refused bool
	// Signed says that a signature was there and true.
	Signed bool
	// Form the body had: a form or a CloudEvent.
	Form string
	// Variables by name.
	Variables []variable
	// Subject and Lines of a mail.
	Subject string
	Lines   []string
}

type variable struct{ Name, Value string }

// value is the value of a variable of an arrival, empty if it did not come.
func (a arrival) value(name string) string {
	for _, v := range a.Variables {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// maxBody is the most a receiver reads: an event has 256 KiB at most, and form-encoding triples a byte at worst.
const maxBody = 1 << 20

// receiver is a company's HTTPS server: each of its recipients posts to a path of its own.
type receiver struct {
	// Base is its address, e.g. https://127.0.0.1:40123.
	Base   string
	server *http.Server
	done   chan struct{}

	mu      sync.Mutex
	outages map[string]*outage
	verify  map[string]*standardwebhooks.Webhook
	got     func(arrival)
}

// outage is a recipient out of order: the first event that reaches it is answered with 500 so many times.
type outage struct {
	left     int
	eventKey string
}

// startReceiver listens on a port of 127.0.0.1 that is free and calls got for each request.
func startReceiver(config *tls.Config, got func(arrival)) (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the demo receiver: %w", err)
	}
	r := &receiver{
		Base: "https://" + listener.Addr().String(), done: make(chan struct{}),
		outages: map[string]*outage{}, verify: map[string]*standardwebhooks.Webhook{}, got: got,
	}
	r.server = &http.Server{Handler: r, TLSConfig: config, ReadHeaderTimeout: readHeaderTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(r.done)
		// It ends with ErrServerClosed; anything else shows as events that do not arrive.
		_ = r.server.ServeTLS(listener, "", "")
	}()
	return r, nil
}

// Close ends open requests and waits for the server's goroutine.
func (r *receiver) Close() error {
	err := r.server.Close()
	<-r.done
	return err
}

// Sign sets the secret that verifies the requests of a recipient.
func (r *receiver) Sign(recipient, secret string) error {
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("read the signing secret of %s: %w", recipient, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verify[recipient] = hook
	return nil
}

// Fail makes a recipient answer the next event that it has not seen with 500, n times.
func (r *receiver) Fail(recipient string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outages[recipient] = &outage{left: n}
}

// ServeHTTP takes one delivery.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		http.Error(w, "read the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	a := arrival{Recipient: strings.TrimPrefix(q.URL.Path, "/"), EventKey: q.Header.Get("webhook-id")}
	if a.Signed, err = r.signed(a.Recipient, body, q.Header); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if a.Form, a.Variables, err = variables(q.Header.Get("Content-Type"), body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.Refused = r.out(a.Recipient, a.EventKey); a.Refused {
		r.got(a)
		http.Error(w, "temporarily out of order", http.StatusInternalServerError)
		return
	}
	r.got(a)
	_, _ = io.WriteString(w, "ok\n")
}

// signed checks the signature where a secret is known. A wrong one is an error, so that it shows.
func (r *receiver) signed(recipient string, body []byte, h http.Header) (bool, error) {
	r.mu.Lock()
	hook := r.verify[recipient]
	r.mu.Unlock()
	if hook == nil {
		return false, nil
	}
	if err := hook.Verify(body, h); err != nil {
		return false, fmt.Errorf("verify the signature: %w", err)
	}
	return true, nil
}

func (r *receiver) out(recipient, eventKey string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.outages[recipient]
	if o == nil || o.left == 0 || o.eventKey != "" && o.eventKey != eventKey {
		return false
	}
	o.left--
	o.eventKey = eventKey
	return true
}

// variables reads a body in either form.
func variables(contentType string, body []byte) (form string, out []variable, err error) {
	switch {
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		form = "form"
		out, err = formVariables(body)
	case strings.HasPrefix(contentType, "application/cloudevents+json"):
		form = "CloudEvent"
		out, err = eventVariables(body)
	default:
		err = fmt.Errorf("read the body: %q is neither a form nor a CloudEvent", contentType)
	}
	slices.SortFunc(out, func(a, b variable) int { return strings.Compare(a.Name, b.Name) })
	return form, out, err
}

func formVariables(body []byte) ([]variable, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("read the form: %w", err)
	}
	var out []variable
	for name := range form {
		out = append(out, variable{name, form.Get(name)})
	}
	return out, nil
}

// eventVariables shows of a CloudEvent what a form would show under the same names.
func eventVariables(body []byte) ([]variable, error) {
	var e struct {
		Type    string         `json:"type"`
		Source  string         `json:"source"`
		Subject string         `json:"subject"`
		Data    map[string]any `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("read the CloudEvent: %w", err)
	}
	if e.Type == "" {
		return nil, errors.New("read the CloudEvent: it has no type")
	}
	out := []variable{{"appliance_id", e.Source}, {"event", e.Type}, {"lsid", e.Subject}}
	return append(out, flat("", e.Data)...), nil
}

// flat joins the names of nested objects with dots.
func flat(prefix string, data map[string]any) []variable {
	var out []variable
	for name, value := range data {
		switch value := value.(type) {
		case map[string]any:
			out = append(out, flat(prefix+name+".", value)...)
		default:
			out = append(out, variable{prefix + name, fmt.Sprint(value)})
		}
	}
	return out
}
