package render

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/health"
)

// dailyRows is how many recipients a daily notice lists at most. Those that need attention come first.
const dailyRows = 200

// careSubject is the subject of a notice that is not about recipients, or empty.
func (w noticeWriter) careSubject() string {
	n := w.n
	switch {
	case n.Daily != nil:
		return w.dailySubject(n.Daily)
	case n.Silence != nil && n.Kind == health.KindHeardAgain:
		return "appliance " + spoken(*n.Silence) + " publishes events again"
	case n.Silence != nil:
		return fmt.Sprintf("appliance %s has been silent for more than %s", spoken(*n.Silence), lasting(n.Silence.After))
	case n.Filling != nil && n.Kind == health.KindStorageFreed:
		return fmt.Sprintf("the stream %s has space again, %d %% full", n.Filling.Stream, n.Filling.Percent())
	case n.Filling != nil:
		return fmt.Sprintf("the stream %s is %d %% full", n.Filling.Stream, n.Filling.Percent())
	default:
		return ""
	}
}

// care renders admin alerts, which are not about recipients' failures.
func (w noticeWriter) care(b *strings.Builder) {
	switch {
	case w.n.Daily != nil:
		w.daily(b, w.n.Daily)
	case w.n.Silence != nil:
		w.silence(b, *w.n.Silence)
	case w.n.Filling != nil:
		w.filling(b, *w.n.Filling)
	}
}

func (w noticeWriter) silence(b *strings.Builder, s health.Silence) {
	if w.n.Kind == health.KindHeardAgain {
		fmt.Fprintf(b, "The appliance %s publishes events again.\n\n", spoken(s))
		fmt.Fprintf(b, "Silent from:   %s\n", w.heard(s))
		fmt.Fprintf(b, "Until:         %s (%s)\n\n", w.time(s.Until), lasting(s.Until.Sub(s.Since)))
		return
	}
	fmt.Fprintf(b, "The appliance %s publishes nothing.\n\n", spoken(s))
	fmt.Fprintf(b, "Last event:    %s\n", w.heard(s))
	fmt.Fprintf(b, "Silent for:    %s, limit %s\n\n", lasting(w.n.At.Sub(s.Since)), lasting(s.After))
	b.WriteString("Check that it runs, that it can reach the ingest service, and that its events are not refused.\n\n")
}

// heard says when an appliance was last heard.
func (w noticeWriter) heard(s health.Silence) string {
	switch {
	case s.Never && s.Since.IsZero():
		return "none recorded"
	case s.Never:
		return "none since " + w.time(s.Since)
	}
	return w.time(s.Since)
}

func spoken(s health.Silence) string {
	return named(health.About{Recipient: s.Appliance, Name: s.Name})
}

func (w noticeWriter) filling(b *strings.Builder, f health.StorageUse) {
	if w.n.Kind == health.KindStorageFreed {
		fmt.Fprintf(b, "The stream %s has space again: %s.\n\n", f.Stream, used(f))
		return
	}
	fmt.Fprintf(b, "The stream %s is filling: %s. When it is full, events of all appliances are refused.\n\n", f.Stream, used(f))
	for _, q := range f.Longest {
		fmt.Fprintf(b, "Pending:       %s for %s%s\n", counted64(q.Waiting, "event"),
			named(health.About{Recipient: q.Recipient, Name: q.Name}), w.oldest(q))
	}
	b.WriteString("\nFix the receiver that blocks the stream, purge its queue, or raise streams.eventsMaxBytes.\n\n")
}

func (w noticeWriter) oldest(q health.QueueLength) string {
	if q.Oldest.IsZero() {
		return ""
	}
	return ", the oldest of " + w.time(q.Oldest)
}

func used(f health.StorageUse) string {
	if f.MaxBytes == 0 {
		return size(f.Bytes)
	}
	return fmt.Sprintf("%d %%, %s of %s", f.Percent(), size(f.Bytes), size(f.MaxBytes))
}

// dailySubject says in a line whether anything is wrong.
func (w noticeWriter) dailySubject(d *health.Daily) string {
	var delivered int64
	var bad []string
	failing := 0
	for _, r := range d.Recipients {
		delivered += r.Delivered
		if r.Error != "" || !r.Since.IsZero() {
			failing++
		}
	}
	if failing > 0 {
		bad = append(bad, counted(failing, "recipient")+" failing")
	}
	if n := len(d.Silent); n > 0 {
		bad = append(bad, counted(n, "appliance")+" silent")
	}
	state := "all healthy"
	if len(bad) > 0 {
		state = strings.Join(bad, ", ")
	}
	return fmt.Sprintf("daily report: %s, %s delivered", state, counted64(delivered, "event"))
}

func (w noticeWriter) daily(b *strings.Builder, d *health.Daily) {
	fmt.Fprintf(b, "This daily report confirms that email works. It covers deliveries from %s to %s.\n\n", w.time(d.From), w.time(d.Until))
	for _, s := range d.Attention {
		fmt.Fprintf(b, "! %s\n", OneLine(s, MaxSubject))
	}
	if len(d.Attention) > 0 {
		b.WriteString("\n")
	}
	w.days(b, d.Recipients)
	if d.Relay != "" {
		fmt.Fprintf(b, "SMTP relay:  %s\n", OneLine(d.Relay, MaxSubject))
	}
	fmt.Fprintf(b, "Appliances:  %s\n", w.appliances(d))
	for _, s := range d.Silent {
		fmt.Fprintf(b, "             %s is silent, last event: %s\n", spoken(s), w.heard(s))
	}
	for _, s := range d.Streams {
		fmt.Fprintf(b, "%-12s %s\n", s.Stream+":", used(s))
	}
	b.WriteString("\n")
}

func (w noticeWriter) appliances(d *health.Daily) string {
	if len(d.Silent) == 0 {
		return fmt.Sprintf("%d, none silent for too long", d.Appliances)
	}
	return fmt.Sprintf("%d, of which %d silent for too long", d.Appliances, len(d.Silent))
}

// days is the table of recipients.
func (w noticeWriter) days(b *strings.Builder, days []health.Day) {
	if len(days) == 0 {
		b.WriteString("There are no recipients yet.\n\n")
		return
	}
	fmt.Fprintf(b, "%-10s %10s %10s %10s  %s\n", "", "delivered", "failed", "waiting", "recipient")
	for i, r := range days {
		if i == dailyRows {
			fmt.Fprintf(b, "… and %s more: `outbound status` lists all\n", counted(len(days)-i, "recipient"))
			break
		}
		fmt.Fprintf(b, "%-10s %10d %10d %10d  %s\n", r.Health, r.Delivered, r.Failed, r.Waiting,
			named(health.About{Recipient: r.Recipient, Name: r.Name}))
		if !r.Since.IsZero() {
			fmt.Fprintf(b, "           since %s (%s)%s\n", w.time(r.Since), lasting(w.n.At.Sub(r.Since)), because(r.Error))
		}
	}
	b.WriteString("\nFailed counts failed attempts and permanently failed deliveries.\n\n")
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + OneLine(text, 300)
}

func counted64(n int64, what string) string { return counted(int(min(n, int64(1)<<53)), what) }

// size writes a number of bytes.
func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for ; value >= unit && i < 4; i++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[i])
}
