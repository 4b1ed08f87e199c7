package httpsender

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

// The headers of ours, in the spelling of net/http's maps. Names of headers ignore case on the wire.
const (
	headerContentType = "Content-Type"
	headerUserAgent   = "User-Agent"
	headerID          = "Webhook-Id"
	headerTimestamp   = "Webhook-Timestamp"
	headerSignature   = "Webhook-Signature"
	headerTraceParent = "Traceparent"
	headerTest        = "Outbound-Test"
)

// ownHeaders is how many headers of ours a request has at most beside the fixed ones.
const ownHeaders = 5

// errAuth is a fault of a recipient's auth; everything else that keeps a target from being made is not.
var errAuth = errors.New("auth can't be sent")

// target is what the requests to one revision of a recipient have in common.
type target struct {
	url     *url.URL
	format  recipient.Format
	fixed   http.Header
	secrets []recipient.SigningSecret
	custom  bool
	timeout time.Duration
	// template writes the body instead of format, if set.
	template *render.BodyTemplate
}

func newTarget(h *recipient.HTTPTarget, userAgent string) (*target, error) {
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, errors.New("the URL can't be read: save the recipient again with one that can")
	}
	t := &target{
		url: u, format: h.Format, fixed: http.Header{}, secrets: h.SigningSecrets, custom: h.SendCustomFields, timeout: h.Timeout,
	}
	for name, value := range h.Headers {
		if refused(name) {
			continue
		}
		if !validValue(value) {
			return nil, fmt.Errorf("the value of header %s has control characters: save the recipient again without", name)
		}
		t.fixed.Set(name, value)
	}
	if h.Auth.Header != "" {
		if !validValue(h.Auth.Value) {
			return nil, fmt.Errorf("%w: its value has control characters: save it again without", errAuth)
		}
		t.fixed.Set(h.Auth.Header, h.Auth.Value)
	}
	t.fixed.Set(headerUserAgent, userAgent)
	return t, t.setBody(h)
}

// refused reports headers that are never taken from a recipient: those that frame the request, those of ours, and those that
// make net/http repeat a POST on its own, which would be an attempt outside our books.
func refused(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Upgrade",
		"Expect", "Idempotency-Key", "X-Idempotency-Key",
		headerContentType, headerUserAgent, headerID, headerTimestamp, headerSignature, headerTraceParent, headerTest:
		return true
	default:
		return false
	}
}

func validValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// header is the header of one attempt. The id is the same at every attempt; time and signatures are the attempt's own.
func (t *target) header(d *delivery.Delivery, at time.Time, body []byte, traceParent string) http.Header {
	h := make(http.Header, len(t.fixed)+ownHeaders)
	maps.Copy(h, t.fixed)
	values := make([]string, 0, ownHeaders)
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	id := d.Event.Key()
	set(headerID, id)
	set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	if signature := render.Sign(id, at, body, t.secrets...); signature != "" {
		set(headerSignature, signature)
	}
	if traceParent != "" {
		set(headerTraceParent, traceParent)
	}
	if d.Test {
		set(headerTest, "1")
	}
	return h
}
