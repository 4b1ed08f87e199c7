package httpsender_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// only200 follows a 2xx that is not 200.
const only200 = ": only 200 counts as delivered; if this status means success, set http.success to ANY_2XX"

func TestAnswersAndWhatTheyMean(t *testing.T) {
	const delivered, retry = delivery.Delivered, delivery.Retry
	for _, c := range []struct {
		status    int
		strict    delivery.VerdictKind // success is 200
		any2xx    delivery.VerdictKind // success is 200 to 299
		reason    reasons.Reason       // of a failure
		detail    string
		retryTime string
		after     time.Duration
	}{
		{200, delivered, delivered, reasons.OK, "", "", 0},
		{201, retry, delivered, reasons.HTTPStatus, "HTTP 201 Created" + only200, "", 0},
		{202, retry, delivered, reasons.HTTPStatus, "HTTP 202 Accepted" + only200, "", 0},
		{204, retry, delivered, reasons.HTTPStatus, "HTTP 204 No Content" + only200, "", 0},
		{299, retry, delivered, reasons.HTTPStatus, "HTTP 299", "", 0},
		{301, retry, retry, reasons.Redirect, "HTTP 301 Moved Permanently: redirects are not followed; Location: ", "", 0},
		{302, retry, retry, reasons.Redirect, "HTTP 302 Found: redirects are not followed; Location: ", "", 0},
		{304, retry, retry, reasons.Redirect, "HTTP 304 Not Modified", "", 0},
		{307, retry, retry, reasons.Redirect, "HTTP 307 Temporary Redirect", "", 0},
		{308, retry, retry, reasons.Redirect, "HTTP 308 Permanent Redirect", "", 0},
		{400, retry, retry, reasons.HTTPStatus, "HTTP 400 Bad Request", "", 0},
		{401, retry, retry, reasons.HTTPStatus, "HTTP 401 Unauthorized", "", 0},
		{404, retry, retry, reasons.HTTPStatus, "HTTP 404 Not Found", "7200", 0},
		{410, retry, retry, reasons.HTTPStatus, "HTTP 410 Gone", "", 0},
		{429, retry, retry, reasons.HTTPStatus, "HTTP 429 Too Many Requests; Retry-After is 2m0s", "120", 2 * time.Minute},
		{429, retry, retry, reasons.HTTPStatus, "HTTP 429 Too Many Requests", "soon", 0},
		{429, retry, retry, reasons.HTTPStatus, "HTTP 429 Too Many Requests", "-5", 0},
		{500, retry, retry, reasons.HTTPStatus, "HTTP 500 Internal Server Error", "7200", 0},
		{503, retry, retry, reasons.HTTPStatus, "HTTP 503 Service Unavailable; Retry-After is 24h0m0s", "86400", time.Hour},
		{503, retry, retry, reasons.HTTPStatus, "HTTP 503 Service Unavailable", "Mon, 02 Jan 2006 15:04:05 GMT", 0},
		{599, retry, retry, reasons.HTTPStatus, "HTTP 599", "", 0},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.retryTime), func(t *testing.T) {
			elsewhere := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
			r := newReceiver(t, nil, func(w http.ResponseWriter, _ *http.Request) {
				if c.status/100 == 3 {
					w.Header().Set("Location", elsewhere.URL+"/?token=canary")
				}
				if c.retryTime != "" {
					w.Header().Set("Retry-After", c.retryTime)
				}
				w.WriteHeader(c.status)
			})
			for rule, want := range map[recipient.Success]delivery.VerdictKind{recipient.Status200: c.strict, recipient.Any2xx: c.any2xx} {
				o, v := attempt(t, newSender(t), deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.Success = rule }))
				if o.Status != c.status || v.Kind != want || v.After != c.after {
					t.Errorf("rule %d: got %+v, %+v, want verdict %d after %s", rule, o, v, want, c.after)
				}
				if want == retry && (v.Reason != c.reason || !strings.HasPrefix(v.Detail, c.detail)) {
					t.Errorf("rule %d: reason %q, detail %q, want %q, %q", rule, v.Reason, v.Detail, c.reason, c.detail)
				}
				if want == delivered && v.Reason != reasons.OK {
					t.Errorf("rule %d: delivered with reason %q", rule, v.Reason)
				}
			}
			if n := elsewhere.connections.Load(); n != 0 {
				t.Errorf("%d connections to where a redirect points", n)
			}
		})
	}
}

func TestRetryAfterMayBeADate(t *testing.T) {
	at := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	r := newReceiver(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", at.UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	before := time.Now()
	_, v := attempt(t, newSender(t), deliveryTo(r.URL))
	if v.After > at.Sub(before) || v.After < time.Minute {
		t.Errorf("wait is %s, want the time until %s", v.After, at)
	}
}

func TestEveryFaultHasAVerdictAndAReason(t *testing.T) {
	s, d := newSender(t), deliveryTo("http://127.0.0.1/")
	for fault, want := range map[delivery.Fault]delivery.Verdict{
		delivery.FaultDNS:            {Kind: delivery.Retry, Reason: reasons.DNS},
		delivery.FaultEgress:         {Kind: delivery.Retry, Reason: reasons.Egress},
		delivery.FaultConnect:        {Kind: delivery.Retry, Reason: reasons.Connect},
		delivery.FaultTLS:            {Kind: delivery.Retry, Reason: reasons.TLS},
		delivery.FaultTimeout:        {Kind: delivery.Retry, Reason: reasons.Timeout},
		delivery.FaultConnectTimeout: {Kind: delivery.Retry, Reason: reasons.Timeout},
		delivery.FaultCut:            {Kind: delivery.Retry, Reason: reasons.ConnectionCut},
		delivery.FaultProtocol:       {Kind: delivery.Retry, Reason: reasons.Protocol},
		delivery.FaultAuth:           {Kind: delivery.Retry, Reason: reasons.Auth},
		delivery.FaultRender:         {Kind: delivery.Drop, Reason: reasons.Render},
		delivery.FaultShutdown:       {Kind: delivery.Postpone, Reason: reasons.Shutdown},
	} {
		want.Detail = "words"
		if got := s.Judge(d, delivery.Outcome{Fault: fault, Detail: "words"}); got != want {
			t.Errorf("fault %d: %+v, want %+v", fault, got, want)
		}
	}
}
