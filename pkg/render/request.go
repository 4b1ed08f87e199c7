package render

import (
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// The headers of ours, in the canonical spelling of Go's maps of headers.
const (
	headerAccept        = "Accept"
	headerContentType   = "Content-Type"
	headerUserAgent     = "User-Agent"
	headerID            = "Webhook-Id"
	headerTimestamp     = "Webhook-Timestamp"
	headerSignature     = "Webhook-Signature"
	headerTraceParent   = "Traceparent"
	headerTest          = "Outbound-Test"
	headerSequence      = "Outbound-Sequence"
	headerPrevious      = "Outbound-Previous"
	headerReplay        = "Outbound-Replay"
	headerAuthorization = "Authorization"
	// headerAttribute begins the headers that carry a CloudEvent's attributes in binary mode.
	headerAttribute = "Ce-"
)

const (
	contentTypeForm = "application/x-www-form-urlencoded; charset=utf-8"
	contentTypeJSON = "application/cloudevents+json"
	// acceptAny is what a request without Accept says (RFC 9110, 12.5.1), for receivers that refuse one without.
	acceptAny = "*/*"
)

// ownHeaders is how many headers of ours a request has at most beside the fixed ones.
const ownHeaders = 8

// ErrAuth is a fault of a recipient's auth; everything else that keeps requests from being written is not.
var ErrAuth = errors.New("the authentication can't be used")

// HTTPWriter writes the requests to one revision of an HTTP recipient.
type HTTPWriter struct {
	// URL is where they go.
	URL     *url.URL
	format  recipient.Format
	fixed   textproto.MIMEHeader
	secrets []recipient.SigningSecret
	custom  bool
	// template writes the body instead of format, if set.
	template *BodyTemplate
}

// Sending is what one sending of a delivery has of its own.
type Sending struct {
	// At is when it begins: the time that is signed.
	At time.Time
	// TraceParent is its W3C trace context; empty: none.
	TraceParent string
	// Custom holds the code names of the custom fields that there are, sorted.
	Custom []string
}

// NewHTTPWriter prepares what the requests to a recipient have in common. Its error is ErrAuth if the recipient's auth is at fault.
func NewHTTPWriter(h *recipient.HTTPTarget, userAgent string) (*HTTPWriter, error) {
	u, err := recipient.ParseURL(h.URL)
	if err != nil {
		return nil, errors.New("the URL is not valid: save the recipient again with a valid URL")
	}
	w := &HTTPWriter{URL: u, format: h.Format, fixed: textproto.MIMEHeader{}, secrets: h.SigningSecrets, custom: h.SendCustomFields}
	w.fixed.Set(headerAccept, acceptAny) // a recipient may want another
	for name, value := range h.Headers {
		if refused(name) {
			continue
		}
		if !ValidHeaderValue(value) {
			return nil, fmt.Errorf("the value of header %s has control characters: remove them and save the recipient again", name)
		}
		w.fixed.Set(name, value)
	}
	if h.Auth.Header != "" {
		if !ValidHeaderValue(h.Auth.Value) {
			return nil, fmt.Errorf("%w: its value has control characters: remove them and save it again", ErrAuth)
		}
		w.fixed.Set(h.Auth.Header, h.Auth.Value)
	}
	w.fixed.Set(headerUserAgent, userAgent)
	return w, w.setBody(h)
}

// refused reports headers that are never taken from a recipient: those that frame the request, those of ours, and those that
// make net/http repeat a POST on its own, which would be an attempt outside our books.
func refused(name string) bool {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Upgrade",
		"Expect", "Idempotency-Key", "X-Idempotency-Key",
		headerContentType, headerUserAgent, headerID, headerTimestamp, headerSignature, headerTraceParent, headerTest, headerSequence,
		headerPrevious, headerReplay:
		return true
	default:
		return false
	}
}

// ValidHeaderValue reports whether a text can be the value of a header: it has no control characters but tabs.
func ValidHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// setBody prepares how bodies are written.
func (w *HTTPWriter) setBody(h *recipient.HTTPTarget) error {
	if h.BodyTemplate != "" {
		return w.setTemplate(h)
	}
	if !ValidHeaderValue(h.ContentType) {
		return errors.New("the content type has control characters: remove them and save the recipient again")
	}
	if err := w.setContentType(h); err != nil {
		return err
	}
	if h.ContentType != "" {
		w.fixed.Set(headerContentType, h.ContentType)
	}
	return nil
}

// setContentType sets the content type of a format.
func (w *HTTPWriter) setContentType(h *recipient.HTTPTarget) error {
	switch h.Format {
	case recipient.Form:
		w.fixed.Set(headerContentType, contentTypeForm)
	case recipient.JSON:
		w.fixed.Set(headerContentType, contentTypeJSON)
	case recipient.JSONBinary:
		w.fixed.Set(headerContentType, BinaryContentType)
	default:
		return fmt.Errorf("format %d is not supported by this version: upgrade the sender", h.Format)
	}
	return nil
}

func (w *HTTPWriter) setTemplate(h *recipient.HTTPTarget) error {
	compiled, err := NewBodyTemplate(h.BodyTemplate)
	if err != nil {
		return fmt.Errorf("the body template is not valid: %w", err)
	}
	if !ValidHeaderValue(h.BodyContentType) {
		return fmt.Errorf("the content type of the body has control characters: remove them and save the recipient again")
	}
	w.template = compiled.With(h.Headers)
	w.fixed.Set(headerContentType, h.BodyContentType)
	return nil
}

// Request is the header and the body of one sending. Id and body are the same at every attempt; time and signatures are the
// sending's own. The body is not to be changed: it may be the stored event itself.
func (w *HTTPWriter) Request(d *delivery.Delivery, s Sending) (textproto.MIMEHeader, []byte, error) {
	body, attributes, err := w.body(d, s.Custom)
	if err != nil {
		return nil, nil, err
	}
	header := w.header(d, s, body)
	// They override the recipient's custom headers.
	for _, a := range attributes {
		header.Set(headerAttribute+a.Name, a.Value)
	}
	return header, body, nil
}

// body is what is posted, and the attributes that go beside it.
func (w *HTTPWriter) body(d *delivery.Delivery, custom []string) ([]byte, []Attribute, error) {
	if !w.custom {
		custom = nil
	}
	var body []byte
	var err error
	switch {
	case w.template != nil:
		if body, err = w.template.Render(d.Event, custom); err != nil {
			err = fmt.Errorf("the body template fails: %w", err)
		}
	case w.format == recipient.JSONBinary:
		attributes, body, err := Binary(d.Event, custom)
		return body, attributes, err
	case w.format == recipient.JSON:
		body, err = JSON(d.Event, custom)
	default:
		body = Form(d.Event, custom)
	}
	return body, nil, err
}

func (w *HTTPWriter) header(d *delivery.Delivery, s Sending, body []byte) textproto.MIMEHeader {
	h := make(textproto.MIMEHeader, len(w.fixed)+ownHeaders)
	maps.Copy(h, w.fixed)
	values := make([]string, 0, ownHeaders)
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	id := d.Event.Key()
	set(headerID, id)
	set(headerTimestamp, strconv.FormatInt(s.At.Unix(), 10))
	if signature := Sign(id, s.At, body, w.secrets...); signature != "" {
		set(headerSignature, signature)
	}
	if s.TraceParent != "" {
		set(headerTraceParent, s.TraceParent)
	}
	if d.Test {
		set(headerTest, "1")
	} else if d.ReplayID != "" {
		set(headerReplay, d.ReplayID)
	}
	if d.Number > 0 {
		set(headerSequence, strconv.FormatUint(d.Number, 10))
		set(headerPrevious, strconv.FormatUint(d.Number-1, 10))
	}
	return h
}
