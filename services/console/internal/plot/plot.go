// Package plot draws what happened in the last hour, day or week: deliveries, latency and queue, as SVG that needs no script, with a table
// of the same figures.
package plot

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// askTimeout bounds the time that a page waits for the figures. Without them it is shown nevertheless.
const askTimeout = 4 * time.Second

// span is a range to choose.
type span struct {
	key, label, title string
	of                outboundv1.TimeSeriesRange_Range
	// tick is the distance of the labels below a plot, layout how they are written.
	tick   time.Duration
	layout string
}

func spans() []span {
	return []span{
		{"1h", "1 h", "Last hour", outboundv1.TimeSeriesRange_HOUR, 15 * time.Minute, "15:04"},
		{"24h", "24 h", "Last 24 hours", outboundv1.TimeSeriesRange_DAY, 6 * time.Hour, "15:04"},
		{"7d", "7 d", "Last 7 days", outboundv1.TimeSeriesRange_WEEK, 24 * time.Hour, "Mon"},
	}
}

// spanOf is a range by its key; the default is 24 hours.
func spanOf(key string) span {
	for _, x := range spans() {
		if x.key == key {
			return x
		}
	}
	return spans()[1]
}

// Range is the range that a page shows, by its query; empty for the default.
func Range(q url.Values) string {
	if x := spanOf(q.Get("range")); x.key != spans()[1].key {
		return x.key
	}
	return ""
}

// Section is the plots of a page.
type Section struct {
	// Title names the range.
	Title string
	// Zone is the zone of all times; ZoneName is its name in the zone database.
	Zone, ZoneName string
	// Ranges are the ranges to choose from.
	Ranges []web.RangeLink
	// Refresh is the address of the section alone.
	Refresh string
	// Deliveries is the address of the deliveries that the plots count, without a time.
	Deliveries string
	// Fault says why there are no plots.
	Fault string
	// Interval is the length of an interval in words; KnownSince is since when everything is counted, if that is not all.
	Interval, KnownSince string
	Panels               []Panel
	// Rows are the intervals in which something happened, newest first.
	Rows []Row
}

// Row is one interval in the table.
type Row struct {
	Time, Address                              string
	Delivered, FailedAttempts, FailedDelivered string
	P50, P95, Waiting                          string
}

// Of reads the figures of a recipient, or of all for an empty ID, for the page of a request.
func Of(r *web.Request, recipientID string) *Section { return read(r, recipientID, r.URL.RequestURI()) }

// For reads the figures of a recipient for a page with an address of its own, whatever the request was.
func For(r *web.Request, recipientID, page string) *Section {
	if r.Method == http.MethodGet {
		page = r.URL.RequestURI()
	}
	return read(r, recipientID, page)
}

// Show answers a request for a section alone. The query names the recipient, the range and the address of the page.
func Show(r *web.Request) error {
	q := r.URL.Query()
	page := q.Get("page")
	if !strings.HasPrefix(page, "/") || strings.HasPrefix(page, "//") || strings.ContainsAny(page, "\\\n\r") {
		page = "/"
	}
	return r.RenderPart("plots", "plots-alone", read(r, q.Get("recipientId"), page))
}

func read(r *web.Request, id, page string) *Section {
	at, err := url.Parse(page)
	if err != nil {
		at = &url.URL{Path: "/"}
	}
	chosen := spanOf(at.Query().Get("range"))
	zone := r.Zone()
	s := &Section{
		Title: chosen.title, ZoneName: zone.String(), Zone: time.Now().In(zone).Format("MST"),
		Refresh:    web.Address("/part/plots", "recipientId", id, "page", at.RequestURI()),
		Deliveries: web.Address("/deliveries", "recipientId", id),
	}
	for _, x := range spans() {
		q := at.Query()
		q.Del("range")
		if x.key != spans()[1].key {
			q.Set("range", x.key)
		}
		address := at.Path
		if len(q) > 0 {
			address += "?" + q.Encode()
		}
		s.Ranges = append(s.Ranges, web.RangeLink{Label: x.label, Address: address, Current: x.key == chosen.key})
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	series, err := r.API.Status.GetTimeSeries(ctx, &outboundv1.GetTimeSeriesRequest{RecipientId: id, Range: chosen.of})
	if err != nil {
		s.Fault = "The figures are not available at the moment: the history service does not respond, or still reads the delivery log."
		return s
	}
	s.draw(series, chosen, zone)
	return s
}

// draw makes the panels and the table.
func (s *Section) draw(series *outboundv1.TimeSeries, chosen span, zone *time.Location) {
	f := newFigures(series, chosen, zone, s.Deliveries)
	s.Interval = web.Words(series.GetInterval().AsDuration())
	if t := series.GetKnownSinceTime(); t != nil {
		s.KnownSince = t.AsTime().In(zone).Format("2006-01-02 15:04 MST")
	}
	s.Panels = []Panel{f.deliveries(), f.latency(), f.queue()}
	for i := len(f.points) - 1; i >= 0; i-- {
		if p := f.points[i]; p.any() {
			s.Rows = append(s.Rows, f.row(p))
		}
	}
}
