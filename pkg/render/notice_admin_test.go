package render_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

func TestAdminContactsAreToldInWords(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
	relay := func(id string) health.About {
		return health.About{Recipient: id, Name: "Mail to " + id, Since: at.Add(-6 * time.Minute), Until: at, Reason: reasons.Connect,
			Detail: "connect to 192.0.2.25:25: connection refused", Alert: 1, Waiting: 2, DropAt: at.Add(23 * time.Hour)}
	}
	silence := health.Silence{Appliance: "site-1", Name: "Vienna", Since: at.Add(-26 * time.Hour), After: 24 * time.Hour}
	spoke, never := silence, silence
	spoke.Until, never.Never, never.Name = at, true, ""
	events := health.StorageUse{Stream: "EVENTS", Bytes: 7 << 30, MaxBytes: 8 << 30,
		Longest: []health.QueueLength{{Recipient: "crm", Name: "CRM", Waiting: 120_000, Oldest: at.Add(-40 * time.Hour)},
			{Recipient: "desk", Name: "desk", Waiting: 1}}}
	room := health.StorageUse{Stream: "EVENTS", Bytes: 5 << 30, MaxBytes: 8 << 30}
	well := health.Daily{
		From: at.Add(-24 * time.Hour), Until: at, Relay: "OK", Appliances: 2,
		Recipients: []health.Day{{QueueLength: health.QueueLength{Recipient: "desk", Name: "Ticket desk"}, Health: "OK", Delivered: 1204}},
		Streams: []health.StorageUse{{Stream: "EVENTS", Bytes: 1 << 20, MaxBytes: 8 << 30},
			{Stream: "HISTORY", Bytes: 900, MaxBytes: 4 << 30}},
	}
	ill := well
	ill.Relay, ill.Silent = "connect to 192.0.2.25:25: connection refused", []health.Silence{silence, never}
	ill.Recipients = append([]health.Day{{QueueLength: health.QueueLength{Recipient: "crm", Name: "CRM", Waiting: 17,
		Oldest: at.Add(-time.Hour)}, Health: "FAILING", Delivered: 3, Failed: 2880, Since: at.Add(-25 * time.Hour),
		Error: "http_status 503: HTTP 503 Service Unavailable"}}, well.Recipients...)
	ill.Attention = []string{"Failing: crm."}
	for name, n := range map[string]health.Notice{
		"relay_failing": {Kind: health.KindFailing, Channel: recipient.Email, Target: "the SMTP relay",
			About: []health.About{relay("ops"), relay("desk")}},
		"relay_recovered": {Kind: health.KindRecovered, Channel: recipient.Email, Target: "the SMTP relay",
			About: []health.About{relay("ops"), relay("desk")}},
		"silent":       {Kind: health.KindSilent, Silence: &silence},
		"silent_never": {Kind: health.KindSilent, Silence: &never},
		"speaking":     {Kind: health.KindHeardAgain, Silence: &spoke},
		"filling":      {Kind: health.KindStorage, Filling: &events},
		"room":         {Kind: health.KindStorageFreed, Filling: &room},
		"daily_well":   {Kind: health.KindDaily, Daily: &well},
		"daily_ill":    {Kind: health.KindDaily, Daily: &ill},
		"daily_empty":  {Kind: health.KindDaily, Daily: &health.Daily{From: at.Add(-24 * time.Hour), Until: at}},
	} {
		n.At, n.Admin = at, true
		m := render.NewNotice(n, vienna, "https://outbound.example.com")
		golden.Check(t, "notice/"+name+".txt", []byte("Subject: "+m.Subject+"\n\n"+m.Body))
	}
}

func TestADailyNoticeOfManyRecipientsHasAnEnd(t *testing.T) {
	d := health.Daily{}
	for i := range 1000 {
		d.Recipients = append(d.Recipients, health.Day{QueueLength: health.QueueLength{Recipient: fmt.Sprintf("r-%d", i)}, Health: "OK"})
	}
	m := render.NewNotice(health.Notice{Kind: health.KindDaily, Daily: &d}, nil, "")
	if n := strings.Count(m.Body, "\n"); n > 230 || !strings.Contains(m.Body, "and 800 recipients more") {
		t.Errorf("%d lines: %s", n, m.Body[len(m.Body)-300:])
	}
}

func TestForeignNamesStayInTheirLineOfNotices(t *testing.T) {
	const evil = "a\r\nBcc: x@example.com"
	for _, n := range []health.Notice{
		{Kind: health.KindSilent, Silence: &health.Silence{Appliance: "a", Name: evil}},
		{Kind: health.KindStorage, Filling: &health.StorageUse{Longest: []health.QueueLength{{Name: evil}}}},
		{Kind: health.KindDaily, Daily: &health.Daily{Relay: evil, Attention: []string{evil},
			Recipients: []health.Day{{QueueLength: health.QueueLength{Name: evil}, Error: evil, Since: time.Now()}}}},
	} {
		m := render.NewNotice(n, nil, "https://outbound.example.com")
		if strings.Contains(m.Subject+m.Body, "\nBcc") || strings.Contains(m.Subject, "\r") {
			t.Errorf("foreign text breaks lines: %q %q", m.Subject, m.Body)
		}
	}
}
