package recipients

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/plot"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// rowsShown is the number of recipients on a page.
const rowsShown = 100

// statusData is the data of the services for the overview.
type statusData struct {
	recipients []*outboundv1.Recipient
	// status is nil while it is unavailable.
	status *outboundv1.Status
	// labels are the display names of event types.
	labels     map[string]string
	appliances int
}

// collect requests the data concurrently. Only the recipients are required.
func collect(ctx context.Context, api web.API) (statusData, error) {
	var f statusData
	var failed error
	var asking sync.WaitGroup
	asking.Go(func() { f.recipients, failed = all(ctx, api.Recipients) })
	asking.Go(func() { f.status, _ = api.Status.GetStatus(ctx, &outboundv1.GetStatusRequest{}) })
	asking.Go(func() {
		f.labels = map[string]string{}
		if answer, err := api.Settings.ListEventTypes(ctx, &outboundv1.ListEventTypesRequest{}); err == nil {
			for _, t := range answer.GetEventTypes() {
				f.labels[t.GetId()] = t.GetDisplayName()
			}
		}
	})
	asking.Go(func() {
		if answer, err := api.Settings.ListAppliances(ctx, &outboundv1.ListAppliancesRequest{}); err == nil {
			f.appliances = len(answer.GetAppliances())
		}
	})
	asking.Wait()
	return f, failed
}

// all lists all recipients by display name.
func all(ctx context.Context, c outboundv1.RecipientServiceClient) ([]*outboundv1.Recipient, error) {
	var out []*outboundv1.Recipient
	q := &outboundv1.ListRecipientsRequest{PageSize: 1000}
	for {
		answer, err := c.ListRecipients(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, answer.GetRecipients()...)
		if q.PageToken = answer.GetNextPageToken(); q.PageToken == "" {
			return out, nil
		}
	}
}

// overview is the data of the page of all recipients.
type overview struct {
	View view
	// Rows are the rows of a page.
	Rows  []row
	Relay *outboundv1.RelayStatus
	// Notices are what needs attention besides recipients that fail, which are counted.
	Notices []string
	// Known reports whether the status is available.
	Known bool
	First *firstSteps
	// Total counts all recipients, Failing and Breaker those that fail and, among them, those that are paused by their breakers.
	Total, Failing, Breaker int
	// Emails and HTTPs count the recipients of a channel.
	Emails, HTTPs int
	// Deleting counts the recipients being deleted, whose queues are drained.
	Deleting int
	// Matching counts those that the view shows, on all its pages.
	Matching int
	// Previous and Next are the addresses of the adjacent pages.
	Previous, Next string
	// States and Channels are the filters.
	States, Channels []chip
	// Plots are what happened to all recipients; nil in updates.
	Plots *plot.Section
}

// Empty reports whether there are no recipients.
func (b *overview) Empty() bool { return b.Total == 0 }

// From is the number of the first row.
func (b *overview) From() int { return (b.View.Page-1)*rowsShown + 1 }

// To is the number of the last row.
func (b *overview) To() int { return (b.View.Page-1)*rowsShown + len(b.Rows) }

// Paged reports whether there is more than one page.
func (b *overview) Paged() bool { return b.Matching > len(b.Rows) }

// Columns are the headings of the table.
func (b *overview) Columns() []column {
	return []column{
		b.View.column("name", "Name", "name"), b.View.column("status", "Status", "state"),
		b.View.column("queued", "Queued", "num queued"), b.View.column("oldest", "Oldest", "oldest minor"),
		b.View.column("rate", "Success (24 h)", "rate minor"), b.View.column("error", "Last error", "error"),
	}
}

// newOverview builds the overview for a view.
func newOverview(f statusData, v view) *overview {
	b := &overview{View: v, Relay: f.status.GetRelay(), Known: f.status != nil, First: stepsOf(f), Total: len(f.recipients)}
	for _, n := range f.status.GetNotices() {
		if !strings.HasPrefix(n, web.FailingNotice) {
			b.Notices = append(b.Notices, n)
		}
	}
	states := make(map[string]*outboundv1.RecipientStatus, len(f.recipients))
	for _, s := range f.status.GetRecipients() {
		states[s.GetRecipientId()] = s
		if s.GetHealth() == outboundv1.RecipientHealth_DELETING {
			b.Deleting++
		}
	}
	tally := facets{states: map[string]int{}, channels: map[string]int{}}
	for _, p := range f.recipients {
		r := row{Recipient: p, Status: states[p.GetId()], labels: f.labels}
		b.count(r)
		if r.has(v.Search) && tally.take(r, v) {
			b.Rows = append(b.Rows, r)
		}
	}
	b.chips(tally)
	v.order(b.Rows)
	b.cut()
	return b
}

func (b *overview) count(r row) {
	if r.channel() == "email" {
		b.Emails++
	} else {
		b.HTTPs++
	}
	if r.State() == stateFailing {
		b.Failing++
	}
	if r.BreakerOpen() {
		b.Breaker++
	}
}

// facets count what each filter would show with the others as they are.
type facets struct {
	states, channels map[string]int
}

// take counts a row that matches the search, and reports whether it matches the filters.
func (t facets) take(r row, v view) bool {
	shown := v.Show == "" || r.State() == v.Show || v.Show == showBreaker && r.BreakerOpen()
	inChannel := v.Channel == "" || r.channel() == v.Channel
	if inChannel {
		t.states[""]++
		t.states[r.State()]++
		if r.BreakerOpen() {
			t.states[showBreaker]++
		}
	}
	if shown {
		t.channels[""]++
		t.channels[r.channel()]++
	}
	return shown && inChannel
}

// chips makes the filters. A state that no recipient is in is left out, unless it is chosen.
func (b *overview) chips(t facets) {
	at := func(change func(*view)) string {
		v := b.View
		v.Page = 1
		change(&v)
		return v.Address()
	}
	for _, x := range []struct{ key, label, tone string }{
		{"", "All", ""}, {stateFailing, "Failing", "bad"}, {showBreaker, "Paused by the breaker", "bad"}, {statePaused, "Paused", "warn"},
		{stateMaintenance, "Maintenance", "warn"}, {stateDisabled, "Disabled", "quiet"},
	} {
		current := b.View.Show == x.key
		if t.states[x.key] > 0 || current {
			b.States = append(b.States, chip{Label: x.label, Count: t.states[x.key], Current: current, Tone: x.tone,
				Address: at(func(v *view) { v.Show = x.key })})
		}
	}
	if b.Emails == 0 || b.HTTPs == 0 {
		return
	}
	for _, x := range [][2]string{{"", "HTTP and email"}, {"http", "HTTP"}, {"email", "Email"}} {
		b.Channels = append(b.Channels, chip{Label: x[1], Count: t.channels[x[0]], Current: b.View.Channel == x[0],
			Address: at(func(v *view) { v.Channel = x[0] })})
	}
}

// cut keeps the rows of one page. A page number beyond the last means the last page.
func (b *overview) cut() {
	b.Matching = len(b.Rows)
	last := max(1, (b.Matching+rowsShown-1)/rowsShown)
	b.View.Page = min(b.View.Page, last)
	if b.View.Page > 1 {
		b.Previous = b.View.onPage(b.View.Page - 1)
	}
	if b.View.Page < last {
		b.Next = b.View.onPage(b.View.Page + 1)
	}
	from := (b.View.Page - 1) * rowsShown
	b.Rows = slices.Clip(b.Rows[from:min(from+rowsShown, b.Matching)])
}

// row is one recipient in its table.
type row struct {
	Recipient *outboundv1.Recipient
	// Status is nil while it is unavailable.
	Status *outboundv1.RecipientStatus
	labels map[string]string
	// backfilled is the ID of a backfill of what was skipped.
	backfilled string
}

// The states of a row.
const (
	stateOK      = "ok"
	stateFailing = "failing"
	statePaused  = "paused"
	// stateMaintenance is that a maintenance window is open.
	stateMaintenance = "maintenance"
	stateDisabled    = "disabled"
	stateUnknown     = "unknown"
)

// State returns the state of the recipient. Enabled is read from the recipient, which is newer than the status.
func (r row) State() string {
	switch {
	case !r.Recipient.GetEnabled() && r.Recipient.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD:
		return statePaused
	case !r.Recipient.GetEnabled():
		return stateDisabled
	case r.Status == nil:
		return stateUnknown
	case r.Status.GetMaintenanceUntilTime() != nil:
		return stateMaintenance
	case r.Status.GetHealth() == outboundv1.RecipientHealth_FAILING:
		return stateFailing
	default:
		return stateOK
	}
}

// BreakerOpen reports whether the breaker pauses the recipient.
func (r row) BreakerOpen() bool { return r.State() == stateFailing && r.Status.GetBreakerOpen() }

func (r row) channel() string {
	if r.Recipient.GetEmail() != nil {
		return "email"
	}
	return "http"
}

// StateText is the state in full, for those who see it cut short.
func (r row) StateText() string {
	const at = "2006-01-02 15:04:05 UTC"
	switch s := r.Status; {
	case r.State() == stateMaintenance:
		return r.Maintenance()
	case r.BreakerOpen() && s.GetBreakerSinceTime() != nil:
		return fmt.Sprintf("failing, paused by the breaker since %s, probing every %s, %d waiting",
			s.GetBreakerSinceTime().AsTime().Format(at), web.Words(s.GetProbeInterval().AsDuration()), s.GetQueuedEvents())
	case r.State() == stateFailing && s.GetFailingSinceTime() != nil:
		return "failing since " + s.GetFailingSinceTime().AsTime().Format(at)
	default:
		return ""
	}
}

// Targets returns the URL or the email addresses.
func (r row) Targets() []string {
	if e := r.Recipient.GetEmail(); e != nil {
		return e.GetAddresses()
	}
	return []string{r.Recipient.GetHttp().GetUrl()}
}

// Types returns the display names of the event types.
func (r row) Types() []string {
	out := make([]string, 0, len(r.Recipient.GetEventTypes()))
	for _, t := range r.Recipient.GetEventTypes() {
		out = append(out, cmp.Or(r.labels[t], t))
	}
	return out
}

// LastError returns the last error without its reason code.
func (r row) LastError() string {
	text := r.Status.GetLastError()
	if rest, found := strings.CutPrefix(text, r.Status.GetLastReason()); found {
		if _, words, found := strings.Cut(rest, ": "); found {
			return words
		}
	}
	return text
}

// has reports whether the row contains a text.
func (r row) has(text string) bool {
	text = strings.ToLower(text)
	for _, field := range slices.Concat([]string{r.Recipient.GetId(), r.Recipient.GetDisplayName()}, r.Targets()) {
		if strings.Contains(strings.ToLower(field), text) {
			return true
		}
	}
	return false
}
