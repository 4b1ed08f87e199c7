package recipients

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/services/console/internal/plot"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// view is the search, filters, order and page of the overview. All of it is in the address.
type view struct {
	// Search is a text in names, addresses and IDs.
	Search string
	// Show is a state; Channel is `http` or `email`. Empty: all.
	Show, Channel string
	// Sort is a column, with the prefix `-` for descending. Empty: the status, failing first.
	Sort string
	// Page counts from 1.
	Page int
	// Range is the range of the plots; empty: the default.
	Range string
}

// The filters by state besides the states themselves.
const showBreaker = "breaker"

func viewOf(q url.Values) view {
	page, _ := strconv.Atoi(q.Get("page"))
	v := view{Search: strings.TrimSpace(q.Get("q")), Show: q.Get("show"), Channel: q.Get("channel"), Sort: q.Get("sort"), Page: max(1, page),
		Range: plot.Range(q)}
	if !slices.Contains([]string{stateFailing, showBreaker, statePaused, stateMaintenance, stateDisabled}, v.Show) {
		v.Show = ""
	}
	if v.Channel != "http" && v.Channel != "email" {
		v.Channel = ""
	}
	if _, known := orders()[strings.TrimPrefix(v.Sort, "-")]; !known {
		v.Sort = ""
	}
	return v
}

// Address returns the address of the view.
func (v view) Address() string { return v.at("/") }

// Stream returns the address of the live updates of the view.
func (v view) Stream() string { return v.at("/part/recipients/stream") }

func (v view) at(path string) string {
	page := ""
	if v.Page > 1 {
		page = strconv.Itoa(v.Page)
	}
	return web.Address(path, "q", v.Search, "show", v.Show, "channel", v.Channel, "sort", v.Sort, "page", page, "range", v.Range)
}

// onPage is the same view on another page.
func (v view) onPage(n int) string {
	v.Page = n
	return v.Address()
}

// chip is a filter with the number of recipients that it shows.
type chip struct {
	Label   string
	Count   int
	Address string
	Current bool
	Tone    string
}

// column is a heading that sorts.
type column struct {
	Label, Class, Address string
	// Order is `ascending`, `descending` or empty, as in aria-sort.
	Order string
}

// sorting is how a column is ordered. first is the direction of the first click.
type sorting struct {
	compare func(a, b row) int
	first   string
}

// orders are the columns that can be sorted by.
func orders() map[string]sorting {
	return map[string]sorting{
		"name": {func(a, b row) int {
			return strings.Compare(strings.ToLower(a.Recipient.GetDisplayName()), strings.ToLower(b.Recipient.GetDisplayName()))
		}, ""},
		"status": {bySeverity, ""},
		"queued": {func(a, b row) int { return cmp.Compare(a.Status.GetQueuedEvents(), b.Status.GetQueuedEvents()) }, "-"},
		"oldest": {func(a, b row) int {
			return cmp.Compare(age(b.Status.GetOldestQueuedTime()), age(a.Status.GetOldestQueuedTime()))
		}, ""},
		"rate":  {func(a, b row) int { return cmp.Compare(a.rate(), b.rate()) }, ""},
		"error": {func(a, b row) int { return cmp.Compare(errorOrder(a), errorOrder(b)) }, ""},
	}
}

// age orders times; none comes last of the oldest.
func age(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return int64(1<<62) - t.AsTime().UnixNano()/int64(time.Microsecond)
}

// errorOrder puts errors in alphabetical order before rows without one.
func errorOrder(r row) string { return cmp.Or(r.LastError(), "\uffff") }

// rate is the success rate of the last 24 hours; above 1: there was no attempt.
func (r row) rate() float64 {
	var good, all int64
	for _, a := range r.Status.GetActivity() {
		good, all = good+a.GetDelivered(), all+a.GetDelivered()+a.GetFailed()
	}
	if all == 0 {
		return 2
	}
	return float64(good) / float64(all)
}

// bySeverity puts what fails first, the longest failure first.
func bySeverity(a, b row) int {
	return cmp.Or(cmp.Compare(severity(a), severity(b)),
		cmp.Compare(age(b.Status.GetFailingSinceTime()), age(a.Status.GetFailingSinceTime())))
}

func severity(r row) int {
	return slices.Index([]string{stateFailing, stateUnknown, statePaused, stateMaintenance, stateDisabled, stateOK}, r.State())
}

// order sorts rows, which are in the order of their names.
func (v view) order(rows []row) {
	key, descending := strings.CutPrefix(cmp.Or(v.Sort, "status"), "-")
	compare := orders()[key].compare
	slices.SortStableFunc(rows, func(a, b row) int {
		if descending {
			return compare(b, a)
		}
		return compare(a, b)
	})
}

// column returns a heading of the table.
func (v view) column(key, label, class string) column {
	c := column{Label: label, Class: class}
	now, descending := strings.CutPrefix(cmp.Or(v.Sort, "status"), "-")
	next := v
	next.Page = 1
	switch {
	case now != key:
		next.Sort = orders()[key].first + key
	case descending:
		c.Order, next.Sort = "descending", key
	default:
		c.Order, next.Sort = "ascending", "-"+key
	}
	if next.Sort == "status" {
		next.Sort = ""
	}
	c.Address = next.Address()
	return c
}
