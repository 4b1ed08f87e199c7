package render

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Placeholders in a preview.
const (
	// Redacted is a secret.
	Redacted = "[redacted]"
	// MadeAtSending is a value that each sending makes anew.
	MadeAtSending = "[generated when sent]"
)

// Header is a header as it is shown.
type Header struct{ Name, Value string }

// HTTPPreview is an HTTP request as it is shown: to the byte as it is sent, but for secrets and for what each sending makes anew.
type HTTPPreview struct {
	Method, URL string
	// Headers in the order in which they travel.
	Headers []Header
	Body    []byte
}

// PreviewOptions say for which sending a request is shown.
type PreviewOptions struct {
	// UserAgent is the sender's, `Outbound/<version>`.
	UserAgent string
	// Custom holds the code names of the custom fields that there are, sorted.
	Custom []string
	// At is when it is sent: signing secrets that have expired by then do not sign.
	At time.Time
	// Sent says that At is when an attempt was made, so that its timestamp is known.
	Sent bool
	// Test says that the delivery is a test.
	Test bool
}

// PreviewHTTP shows the request to an HTTP recipient about an event, written by what writes it for the sender. Secrets are not
// looked at, so the recipient may be one whose secrets were not opened: that it has them is enough.
func PreviewHTTP(r *recipient.Recipient, e *event.Event, o PreviewOptions) (HTTPPreview, error) {
	if r.HTTP == nil {
		return HTTPPreview{}, fmt.Errorf("preview the request to recipient %s: it is not an HTTP recipient", r.ID)
	}
	target := *r.HTTP
	signed := slices.ContainsFunc(target.SigningSecrets,
		func(s recipient.SigningSecret) bool { return s.Expire.IsZero() || o.At.Before(s.Expire) })
	target.SigningSecrets = nil
	if target.Auth.Header != "" {
		target.Auth.Value = Redacted
	} else if target.Auth.OAuth2 != nil {
		target.Auth.Header, target.Auth.Value = headerAuthorization, Redacted
	}
	w, err := NewHTTPWriter(&target, o.UserAgent)
	if err != nil {
		return HTTPPreview{}, err
	}
	if w.template != nil {
		hidden := make(map[string]string, len(target.Headers))
		for name := range target.Headers {
			hidden[name] = Redacted
		}
		w.template = w.template.With(hidden)
	}
	d := &delivery.Delivery{Recipient: r, Event: e, Test: o.Test}
	header, body, err := w.Request(d, Sending{At: o.At, TraceParent: MadeAtSending, Custom: o.Custom})
	if err != nil {
		return HTTPPreview{}, err
	}
	if signed {
		header.Set(headerSignature, MadeAtSending)
	}
	if !o.Sent {
		header.Set(headerTimestamp, MadeAtSending)
	}
	// As net/http writes them: these first, the others by name.
	out := HTTPPreview{Method: "POST", URL: target.URL, Body: body, Headers: []Header{
		{"Host", w.URL.Host}, {headerUserAgent, o.UserAgent}, {"Content-Length", strconv.Itoa(len(body))},
	}}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name != headerUserAgent {
			out.Headers = append(out.Headers, Header{name, header.Get(name)})
		}
	}
	return out, nil
}
