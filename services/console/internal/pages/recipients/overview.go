package recipients

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// rowsShown is the number of recipients of a channel on a page.
const rowsShown = 100

// view is the search, filter and pages of the overview.
type view struct {
	// Search is a text in names, addresses and ids; Show is `failing`, `disabled` or empty for all.
	Search, Show string
	// HTTPPage and EmailPage count from 1.
	HTTPPage, EmailPage int
}

func viewOf(q url.Values) view {
	page := func(name string) int {
		n, _ := strconv.Atoi(q.Get(name))
		return max(1, n)
	}
	v := view{Search: strings.TrimSpace(q.Get("q")), Show: q.Get("show"), HTTPPage: page("http"), EmailPage: page("email")}
	if v.Show != "failing" && v.Show != "disabled" {
		v.Show = ""
	}
	return v
}

// Address returns the address of the view.
func (v view) Address() string { return v.at("/") }

// Stream returns the address of the live updates of the view.
func (v view) Stream() string { return v.at("/part/recipients/stream") }

func (v view) at(path string) string {
	number := func(n int) string {
		if n == 1 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return web.Address(path, "q", v.Search, "show", v.Show, "http", number(v.HTTPPage), "email", number(v.EmailPage))
}

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
	View        view
	HTTP, Email section
	Relay       *outboundv1.RelayStatus
	Notices     []string
	// Known reports whether the status is available.
	Known bool
	First *firstSteps
}

// Empty reports whether there are no recipients.
func (b *overview) Empty() bool { return b.HTTP.Total+b.Email.Total == 0 }

// section is the table of a channel.
type section struct {
	Rows []row
	// Total counts all recipients of the channel, Matching those that match the view, the others those in a state.
	Total, Matching, Failing, Disabled int
	// Deleting counts the recipients being deleted, whose queues are drained.
	Deleting int
	Page     int
	// Previous and Next are the addresses of the adjacent pages.
	Previous, Next string
}

// From is the number of the first row.
func (s section) From() int { return (s.Page-1)*rowsShown + 1 }

// To is the number of the last row.
func (s section) To() int { return (s.Page-1)*rowsShown + len(s.Rows) }

// Paged reports whether there is more than one page.
func (s section) Paged() bool { return s.Matching > len(s.Rows) }

// newOverview builds the overview for a view.
func newOverview(f statusData, v view) *overview {
	b := &overview{View: v, Relay: f.status.GetRelay(), Notices: f.status.GetNotices(), Known: f.status != nil, First: stepsOf(f)}
	states := make(map[string]*outboundv1.RecipientStatus, len(f.recipients))
	for _, s := range f.status.GetRecipients() {
		states[s.GetRecipientId()] = s
		if s.GetHealth() == outboundv1.RecipientHealth_DELETING {
			b.sectionOf(s.GetChannel() == "email").Deleting++
		}
	}
	for _, r := range f.recipients {
		b.sectionOf(r.GetEmail() != nil).add(row{Recipient: r, Status: states[r.GetId()], labels: f.labels}, v)
	}
	b.HTTP.cut(v.HTTPPage, func(n int) string { v := v; v.HTTPPage = n; return v.Address() })
	b.Email.cut(v.EmailPage, func(n int) string { v := v; v.EmailPage = n; return v.Address() })
	return b
}

func (b *overview) sectionOf(email bool) *section {
	if email {
		return &b.Email
	}
	return &b.HTTP
}

func (s *section) add(r row, v view) {
	s.Total++
	state := r.State()
	if state == stateFailing {
		s.Failing++
	}
	if state == stateDisabled || state == statePaused {
		s.Disabled++
	}
	wanted := v.Show == "" || v.Show == "failing" && state == stateFailing || v.Show == "disabled" &&
		(state == stateDisabled || state == statePaused)
	if wanted && r.has(v.Search) {
		s.Rows = append(s.Rows, r)
	}
}

// cut keeps the rows of one page. A page number beyond the last means the last page.
func (s *section) cut(page int, address func(int) string) {
	s.Matching = len(s.Rows)
	last := max(1, (s.Matching+rowsShown-1)/rowsShown)
	s.Page = min(page, last)
	if s.Page > 1 {
		s.Previous = address(s.Page - 1)
	}
	if s.Page < last {
		s.Next = address(s.Page + 1)
	}
	from := (s.Page - 1) * rowsShown
	s.Rows = slices.Clip(s.Rows[from:min(from+rowsShown, s.Matching)])
}

// rows are the rows of both tables.
func (b *overview) rows() []row { return slices.Concat(b.HTTP.Rows, b.Email.Rows) }

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
	stateOK       = "ok"
	stateFailing  = "failing"
	statePaused   = "paused"
	stateDisabled = "disabled"
	stateUnknown  = "unknown"
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
	case r.Status.GetHealth() == outboundv1.RecipientHealth_FAILING:
		return stateFailing
	default:
		return stateOK
	}
}

// BreakerOpen reports whether the breaker pauses the recipient.
func (r row) BreakerOpen() bool { return r.State() == stateFailing && r.Status.GetBreakerOpen() }

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
