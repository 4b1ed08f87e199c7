package render

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
)

// noticeMark begins the subject of each mail to contacts.
const noticeMark = "[Outbound] "

// noticeTime is how times are written in mails to contacts.
const noticeTime = "2006-01-02 15:04:05 MST"

// NewNotice words a mail to a contact. It can't fail; the same notice gives the same mail. Zone is that of the times; nil: UTC. console
// is the URL of the console without a slash at its end; empty: the mail has no link.
func NewNotice(n health.Notice, zone *time.Location, console string) Mail {
	if zone == nil {
		zone = time.UTC
	}
	w := noticeWriter{n: n, zone: zone, console: console}
	return Mail{Subject: OneLine(noticeMark+w.subject(), MaxSubject), Body: manyLines(w.body())}
}

type noticeWriter struct {
	n       health.Notice
	zone    *time.Location
	console string
}

// link is the page of the console that shows what the notice tells of; empty if the console's URL is not known.
func (w noticeWriter) link() string {
	switch {
	case w.console == "":
		return ""
	case len(w.n.About) == 1:
		return w.console + "/recipients/" + url.PathEscape(w.n.About[0].Recipient)
	case len(w.n.About) > 1:
		return w.console + "/"
	case w.n.Kind == health.KindSilent || w.n.Kind == health.KindHeardAgain:
		return w.console + "/settings/appliances"
	default:
		return w.console + "/health"
	}
}

func (w noticeWriter) time(t time.Time) string { return t.In(w.zone).Format(noticeTime) }

func (w noticeWriter) subject() string {
	if s := w.careSubject(); s != "" {
		return s
	}
	who := fmt.Sprintf("%d recipients at %s", len(w.n.About), w.n.Target)
	if len(w.n.About) == 1 {
		who = named(w.n.About[0])
	}
	switch w.n.Kind {
	case health.KindRecovered:
		return who + ": deliveries succeed again"
	case health.KindDropped:
		return who + ": deliveries failed permanently"
	case health.KindFailing:
	default:
	}
	if len(w.n.About) == 0 {
		return who + ": deliveries fail"
	}
	return fmt.Sprintf("%s: deliveries fail, %s", who, Failure(w.n.About[0].Reason, w.n.About[0].Code))
}

func (w noticeWriter) body() string {
	var b strings.Builder
	w.care(&b)
	if len(w.n.About) > 1 {
		fmt.Fprintf(&b, "%d recipients at %s %s.\n\n", len(w.n.About), w.n.Target,
			map[bool]string{true: "have recovered from failing", false: "fail for the same reason"}[w.n.Kind == health.KindRecovered])
	}
	for _, a := range w.n.About {
		switch w.n.Kind {
		case health.KindRecovered:
			w.recovered(&b, a)
		case health.KindDropped:
			fmt.Fprintf(&b, "Some deliveries to the recipient %s failed permanently, while others succeed.\n\n", named(a))
		case health.KindFailing:
			w.failing(&b, a)
		default:
			w.failing(&b, a)
		}
		w.rest(&b, a)
		b.WriteString("\n")
	}
	if link := w.link(); link != "" {
		fmt.Fprintf(&b, "Console: %s\n\n", link)
	}
	who := "the contacts of the recipient"
	if w.n.Admin {
		who = "the admin contacts of the SMTP settings"
	}
	fmt.Fprintf(&b, "-- \nSent by Outbound to %s. For details, run `outbound status` and `outbound deliveries list`.\n", who)
	return b.String()
}

func (w noticeWriter) failing(b *strings.Builder, a health.About) {
	fmt.Fprintf(b, "Deliveries to the recipient %s fail.\n\n", named(a))
	fmt.Fprintf(b, "Failing since: %s (%s)\n", w.time(a.Since), lasting(w.n.At.Sub(a.Since)))
	fmt.Fprintf(b, "Destination:   %s\n", w.n.Target)
	fmt.Fprintf(b, "Problem:       %s\n", Failure(a.Reason, a.Code))
	if a.Detail != "" {
		fmt.Fprintf(b, "Details:       %s\n", OneLine(a.Detail, MaxSubject))
	}
	if a.Alert > 1 {
		fmt.Fprintf(b, "Alert number:  %d for this failure\n", a.Alert)
	}
}

func (w noticeWriter) recovered(b *strings.Builder, a health.About) {
	fmt.Fprintf(b, "Deliveries to the recipient %s succeed again.\n\n", named(a))
	fmt.Fprintf(b, "Failing from:  %s\n", w.time(a.Since))
	fmt.Fprintf(b, "Until:         %s (%s)\n", w.time(a.Until), lasting(a.Until.Sub(a.Since)))
	fmt.Fprintf(b, "Problem:       %s\n", Failure(a.Reason, a.Code))
}

// rest tells of the queue and of what was given up.
func (w noticeWriter) rest(b *strings.Builder, a health.About) {
	if a.Waiting >= 0 {
		fmt.Fprintf(b, "Waiting:       %s\n", counted(a.Waiting, "event"))
	}
	if a.Waiting > 0 && !a.DropAt.IsZero() && w.n.Kind == health.KindFailing {
		if a.DropAt.After(w.n.At) {
			fmt.Fprintf(b, "Next expiry:   %s\n", w.time(a.DropAt))
		} else {
			fmt.Fprintf(b, "Overdue since: %s\n", w.time(a.DropAt))
		}
	}
	if a.Expiring > 0 {
		fmt.Fprintf(b, "Expiring:      %s before %s\n", counted(a.Expiring, "event"), w.time(a.ExpiringBefore))
	}
	if a.BreakerOpen {
		fmt.Fprintf(b, "Breaker:       %s\n", w.breaker(a))
	}
	if d := a.Dropped; d != nil {
		fmt.Fprintf(b, "Failed:        %s, the last at %s: %s\n", counted(d.Count, "delivery"), w.time(d.Last), Failure(d.Reason, 0))
		if d.Detail != "" {
			fmt.Fprintf(b, "               %s\n", OneLine(d.Detail, MaxSubject))
		}
	}
}

// breaker says that a recipient is paused by its breaker. A notice of an earlier version does not say since when.
func (w noticeWriter) breaker(a health.About) string {
	if a.BreakerSince.IsZero() || a.ProbeEvery <= 0 {
		return "paused, one attempt is made per retry interval"
	}
	return fmt.Sprintf("paused since %s, probing every %s", w.time(a.BreakerSince), lasting(a.ProbeEvery))
}

func named(a health.About) string {
	if a.Name == "" || a.Name == a.Recipient {
		return a.Recipient
	}
	return fmt.Sprintf("%s (%s)", OneLine(a.Name, 200), a.Recipient)
}

func counted(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(what, "y"))
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

// lasting writes how long something lasted, to the two largest units.
func lasting(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes, seconds := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}

// Failure says in words what a reason of a failed attempt is; code is the HTTP status or SMTP code, or 0.
func Failure(r reasons.Reason, code int) string {
	switch r {
	case reasons.HTTPStatus:
		if code == 0 {
			return "the receiver responds with an error"
		}
		return fmt.Sprintf("the receiver responds with HTTP %d", code)
	case reasons.Redirect:
		return "the receiver redirects, and redirects are not followed"
	case reasons.Gone:
		return "the receiver no longer accepts events (HTTP 410 Gone)"
	case reasons.DNS:
		return "the host name is not found (DNS)"
	case reasons.Egress:
		return "the address is not allowed (egress rules)"
	case reasons.Connect:
		return "the connection is refused or the host is unreachable"
	case reasons.TLS:
		return "the TLS connection fails"
	case reasons.Timeout:
		return "no response in time"
	case reasons.ConnectionCut:
		return "the connection breaks before the response"
	case reasons.Protocol:
		return "the response is invalid"
	case reasons.Auth:
		return "authentication fails"
	case reasons.Render:
		return "the request can't be rendered"
	case reasons.SMTPDeferred:
		return "the SMTP relay defers emails"
	case reasons.SMTPRefused:
		return "the SMTP relay refuses emails"
	case reasons.RelayUnset:
		return "no SMTP relay is configured"
	case reasons.PartlyDelivered:
		return "not all addresses accept the email"
	case reasons.Expired:
		return "the retry duration has ended"
	default:
		return string(r)
	}
}
