package httpsender_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func contracts(t *testing.T) []contract {
	t.Helper()
	all := statusContracts()
	for _, more := range [][]contract{redirectContracts(), retryAfterContracts(), bodyContracts(), silentContracts(), garbledContracts(),
		cutContracts(), tlsContracts(t), malformedContracts(), sameHostContracts(), certificateContracts(t)} {
		all = append(all, more...)
	}
	return all
}

func delivered(status int) line {
	return line{State: delivery.StateDelivered, Reason: reasons.OK, Status: status, Next: never}
}

func retrying(reason reasons.Reason, status int, detail string) line {
	return line{State: delivery.StateRetrying, Reason: reason, Status: status, Detail: detail, Next: onInterval}
}

func any2xx(h *outboundv1.HttpRecipient) { h.Success = outboundv1.HttpRecipient_Success_ANY_2XX }

// statusContracts are the classes of final statuses.
func statusContracts() []contract {
	out := []contract{
		{name: "200", play: answers(200), want: delivered(200), requests: 1},
		{name: "200 after hints", play: says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
			want: delivered(200), requests: 1},
		{name: "200 of HTTP/1.0", play: says("HTTP/1.0 200 OK\r\n\r\nok"), want: delivered(200), requests: 1},
		{name: "201, any 2xx will do", play: answers(201), change: any2xx, want: delivered(201), requests: 1},
		{name: "204, any 2xx will do", play: answers(204), change: any2xx, want: delivered(204), requests: 1},
		{name: "410, which stops it", play: answers(410), requests: 1, change: func(h *outboundv1.HttpRecipient) { h.StopOnGone = true },
			want: line{State: delivery.StateRejected, Reason: reasons.Gone, Detail: "HTTP 410 Gone: the receiver no longer accepts this event",
				Status: 410, Next: never}},
		{name: "404, where 410 stops it", play: answers(404), requests: 1, change: func(h *outboundv1.HttpRecipient) { h.StopOnGone = true },
			want: retrying(reasons.HTTPStatus, 404, "HTTP 404 Not Found")},
	}
	for status, text := range map[int]string{
		201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 299: "", 400: "Bad Request", 401: "Unauthorized",
		403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
		413: "Request Entity Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Entity", 429: "Too Many Requests",
		499: "", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
		504: "Gateway Timeout", 507: "Insufficient Storage", 599: "", 999: "",
	} {
		words := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", status, text))
		if status < 300 {
			words += ": only 200 counts as delivered; if this status means success, set http.success to ANY_2XX"
		}
		out = append(out, contract{
			name: fmt.Sprint(status), play: answers(status), requests: 1, want: retrying(reasons.HTTPStatus, status, words),
		})
	}
	return out
}

// redirectContracts point to a receiver that must never be contacted.
func redirectContracts() []contract {
	var out []contract
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
		out = append(out, contract{
			name: fmt.Sprint(status, " to another site"), requests: 1,
			want: retrying(reasons.Redirect, status,
				fmt.Sprintf("HTTP %d %s: redirects are not followed; Location: http://{target}", status, http.StatusText(status))),
			play: func(t *testing.T) *played {
				target := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
				p := answers(status, "Location", target.URL+"/elsewhere?token=canary")(t)
				p.known = map[string]string{strings.TrimPrefix(target.URL, "http://"): "{target}"}
				p.check = func(t *testing.T, _ delivery.Record) {
					if n := target.connections.Load(); n != 0 {
						t.Errorf("the target of the redirect was contacted %d times", n)
					}
				}
				return p
			},
		})
	}
	return append(out,
		contract{name: "302 to itself", play: answers(302, "Location", "/again"), requests: 1,
			want: retrying(reasons.Redirect, 302, "HTTP 302 Found: redirects are not followed; Location: http://{host}, the same host with "+
				"another path")},
		contract{name: "302 to nowhere", play: answers(302), requests: 1,
			want: retrying(reasons.Redirect, 302, "HTTP 302 Found: redirects are not followed")},
	)
}

// retryAfterContracts ask us to wait.
func retryAfterContracts() []contract {
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	asked := func(status int, when next, words string) line {
		l := retrying(reasons.HTTPStatus, status, fmt.Sprintf("HTTP %d %s%s", status, http.StatusText(status), words))
		l.Next = when
		return l
	}
	return []contract{
		{name: "429 with seconds", play: answers(429, "Retry-After", "1200"), requests: 1, want: asked(429, asAsked, "; Retry-After is 20m0s")},
		{name: "503 with seconds", play: answers(503, "Retry-After", "1200"), requests: 1, want: asked(503, asAsked, "; Retry-After is 20m0s")},
		{name: "429 with fewer seconds than the interval", play: answers(429, "Retry-After", "1"), requests: 1,
			want: asked(429, onInterval, "; Retry-After is 1s")},
		{name: "429 with a date", requests: 1, want: asked(429, asAsked, "; Retry-After is {20m}"), play: func(t *testing.T) *played {
			// The date is made when it is asked for, and has whole seconds.
			p := served(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", date(20*time.Minute))
				w.WriteHeader(http.StatusTooManyRequests)
			})(t)
			p.known = map[string]string{"20m0s": "{20m}", "19m59s": "{20m}"}
			return p
		}},
		{name: "429 with a date gone by", play: answers(429, "Retry-After", date(-time.Hour)), requests: 1, want: asked(429, onInterval, "")},
		{name: "429 with an absurd number", play: answers(429, "Retry-After", "99999"), requests: 1,
			want: asked(429, atMost, "; Retry-After is 27h46m39s, waiting 1h at most")},
		{name: "503 with a number beyond numbers", play: answers(503, "Retry-After", strings.Repeat("9", 40)), requests: 1,
			want: asked(503, atMost, "; Retry-After is 596523h14m7s, waiting 1h at most")},
		{name: "429 with a negative number", play: answers(429, "Retry-After", "-5"), requests: 1, want: asked(429, onInterval, "")},
		{name: "429 with words", play: answers(429, "Retry-After", "soon"), requests: 1, want: asked(429, onInterval, "")},
		{name: "500 with seconds, which mean nothing there", play: answers(500, "Retry-After", "1200"), requests: 1,
			want: asked(500, onInterval, "")},
		{name: "503 with seconds beyond the end", play: answers(503, "Retry-After", "1200"), requests: 1,
			want:   asked(503, atTheEnd, "; Retry-After is 20m0s"),
			change: func(h *outboundv1.HttpRecipient) { h.RetryDuration = durationpb.New(15 * time.Minute) }},
	}
}

// bodyContracts are answers with bodies that nobody wants; the status alone decides.
func bodyContracts() []contract {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	huge := strings.Repeat("x", 8<<20)
	excerpt := func(begin string, size int) func(*testing.T, delivery.Record) {
		return func(t *testing.T, r delivery.Record) {
			if len(r.Excerpt) != size || !bytes.HasPrefix(r.Excerpt, []byte(begin)) {
				t.Errorf("the excerpt has %d bytes and begins with %.10q", len(r.Excerpt), r.Excerpt)
			}
		}
	}
	checked := func(play func(*testing.T) *played, check func(*testing.T, delivery.Record)) func(*testing.T) *played {
		return func(t *testing.T) *played {
			p := play(t)
			p.check = check
			return p
		}
	}
	return []contract{
		{name: "a body", requests: 1, want: retrying(reasons.HTTPStatus, 500, "HTTP 500 Internal Server Error"),
			play: checked(says("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nwhy?"), excerpt("why?", 4))},
		{name: "a huge body", requests: 1, want: delivered(200),
			play: checked(served(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, huge) }), excerpt("xxx", delivery.MaxExcerpt))},
		{name: "an endless body", requests: 1, want: delivered(200),
			play: checked(endlessly("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1024)), excerpt("xxx", delivery.MaxExcerpt))},
		{name: "a bomb", requests: 1, want: delivered(200), play: checked(served(func(w http.ResponseWriter, q *http.Request) {
			if v := q.Header.Get("Accept-Encoding"); v != "" {
				http.Error(w, "asked for "+v, http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}), func(t *testing.T, r delivery.Record) {
			if want := bomb.Bytes()[:delivery.MaxExcerpt]; !bytes.Equal(r.Excerpt, want) {
				t.Errorf("the excerpt has %d bytes and begins with %.10q, want what was sent", len(r.Excerpt), r.Excerpt)
			}
		})},
		{name: "a body that hangs", change: impatient, play: saysAndHangs("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
			want: delivered(200), requests: 1},
		{name: "a failure whose body hangs", change: impatient, play: saysAndHangs("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno"),
			requests: 1,
			want:     retrying(reasons.HTTPStatus, 500, "HTTP 500 Internal Server Error; the connection broke while reading the response body")},
		{name: "a body drop by drop", change: impatient, play: dripping("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x"),
			want: delivered(200), requests: 1},
	}
}
