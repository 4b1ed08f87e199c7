package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/render"
)

func TestNoticesSayInWordsWhatIsTheMatter(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	desk := func(r reasons.Reason, code int, detail string) health.About {
		return health.About{Recipient: "desk", Name: "Ticket desk", Since: at.Add(-5 * time.Minute), Reason: r, Code: code,
			Detail: detail, Alert: 1,
			Waiting: 17, DropAt: at.Add(24*time.Hour - 5*time.Minute)}
	}
	again := desk(reasons.HTTPStatus, 503, "HTTP 503 Service Unavailable")
	again.Since, again.Alert, again.BreakerOpen, again.DropAt = at.Add(-28*time.Hour), 7, true, at.Add(-time.Minute)
	again.BreakerSince, again.ProbeEvery = at.Add(-27*time.Hour), 90*time.Second
	again.Expiring, again.ExpiringBefore = 14, at.Add(12*time.Hour)
	again.Dropped = &health.Dropped{Count: 3, First: at.Add(-2 * time.Hour), Last: at.Add(-time.Minute), Reason: reasons.Expired,
		Detail: "not delivered within 24h0m0s; last: HTTP 503 Service Unavailable"}
	recovered := health.About{Recipient: "desk", Name: "Ticket desk", Since: at.Add(-2 * time.Hour), Until: at,
		Reason: reasons.Connect, Waiting: 1}
	other := desk(reasons.Timeout, 0, "no connection within 15s")
	other.Recipient, other.Name, other.Waiting, other.DropAt = "crm", "crm", 0, time.Time{}
	dropped := health.About{Recipient: "desk", Name: "Ticket desk", Waiting: 0,
		Dropped: &health.Dropped{Count: 1, First: at, Last: at, Reason: reasons.Gone}}
	for name, n := range map[string]health.Notice{
		"dns":     {Kind: health.KindFailing, About: []health.About{desk(reasons.DNS, 0, "look up desk.example.com: no such host")}},
		"connect": {Kind: health.KindFailing, About: []health.About{desk(reasons.Connect, 0, "connect to 192.0.2.1:443: connection refused")}},
		"tls":     {Kind: health.KindFailing, About: []health.About{desk(reasons.TLS, 0, "TLS: the certificate expired on 2026-11-20")}},
		"timeout": {Kind: health.KindFailing, About: []health.About{desk(reasons.Timeout, 0, "connected, but no answer within 15s")}},
		"status":  {Kind: health.KindFailing, About: []health.About{desk(reasons.HTTPStatus, 500, "HTTP 500 Internal Server Error")}},
		"redirect": {Kind: health.KindFailing,
			About: []health.About{desk(reasons.Redirect, 301,
				"HTTP 301 Moved Permanently: redirects are not followed; Location: https://other.example.com")}},
		"again":     {Kind: health.KindFailing, About: []health.About{again}},
		"grouped":   {Kind: health.KindFailing, About: []health.About{desk(reasons.Connect, 0, "connection refused"), other}},
		"recovered": {Kind: health.KindRecovered, About: []health.About{recovered}},
		"dropped":   {Kind: health.KindDropped, About: []health.About{dropped}},
	} {
		n.At, n.Target = at, "desk.example.com"
		m := render.NewNotice(n, nil, "https://outbound.example.com")
		golden.Check(t, "notice/"+name+".txt", []byte("Subject: "+m.Subject+"\n\n"+m.Body))
	}
}

func TestNoticesKeepToTheirLines(t *testing.T) {
	m := render.NewNotice(health.Notice{Kind: health.KindFailing,
		About: []health.About{{Recipient: "r", Name: "a\r\nBcc: x@example.com", Detail: "b\nc\x00"}}}, nil, "")
	if strings.ContainsAny(m.Subject, "\r\n") || strings.Contains(m.Body, "\nBcc") || strings.Contains(m.Body, "\x00") {
		t.Errorf("foreign text breaks lines: %q %q", m.Subject, m.Body)
	}
}
