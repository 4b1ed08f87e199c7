package plot

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// The size of a plot in units of its SVG. A plot is between 320 and 520 pixels wide, so that a text of 14 units has at least 11 pixels.
const (
	width, height            = 400, 136
	left, right, top, bottom = 62, 6, 8, 24
	innerWidth, innerHeight  = width - left - right, height - top - bottom
	baseline                 = height - bottom
	// leastHeight makes a value above zero visible. barGap is the share of an interval that is left free.
	leastHeight, barGap = 1.5, 0.16
	// labelHalf is half of the width of a label below the plot, labelDistance the least distance of labels beside it.
	labelHalf, labelDistance = 17, 16
)

// point is an interval.
type point struct {
	*outboundv1.TimeSeriesPoint
	start, end time.Time
	// x is where it begins.
	x float64
	// known reports whether the interval is counted in full.
	known bool
}

func (p point) any() bool {
	return p.GetDelivered()+p.GetFailedAttempts()+p.GetFailedDeliveries()+p.GetWaiting() > 0
}

// figures are what is drawn.
type figures struct {
	*outboundv1.TimeSeries
	points []point
	step   float64
	span   span
	zone   *time.Location
	// list is the address of the deliveries, without a time.
	list string
}

func newFigures(s *outboundv1.TimeSeries, chosen span, zone *time.Location, address string) figures {
	f := figures{TimeSeries: s, span: chosen, zone: zone, list: address, step: innerWidth / float64(max(len(s.GetPoints()), 1))}
	for i, p := range s.GetPoints() {
		start := p.GetStartTime().AsTime()
		f.points = append(f.points, point{
			TimeSeriesPoint: p, start: start, end: start.Add(s.GetInterval().AsDuration()), x: left + float64(i)*f.step,
			known: s.GetKnownSinceTime() == nil || !start.Before(s.GetKnownSinceTime().AsTime()),
		})
	}
	return f
}

// address is that of the deliveries of an interval.
func (f figures) address(p point) string {
	between := "?"
	if strings.Contains(f.list, "?") {
		between = "&"
	}
	return f.list + between + "startTime=" + p.start.UTC().Format(time.RFC3339) + "&endTime=" + p.end.UTC().Format(time.RFC3339)
}

// when names an interval in the zone of the page.
func (f figures) when(p point) string {
	a, b := p.start.In(f.zone), p.end.In(f.zone)
	return a.Format("2006-01-02 15:04") + "–" + b.Format("15:04 MST")
}

// took writes a latency with two or three figures.
func took(d *durationpb.Duration) string {
	if d == nil {
		return "–"
	}
	return short(d.AsDuration())
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return strings.Replace(fmt.Sprintf("%.1f s", d.Seconds()), ".0 s", " s", 1)
	case d < 24*time.Hour:
		return web.Words(d.Round(time.Second))
	default:
		return web.Words(d.Round(time.Hour))
	}
}

func (p point) queue() string {
	if p.Waiting == nil {
		return "–"
	}
	return web.Count(p.GetWaiting())
}

func (f figures) row(p point) Row {
	return Row{
		Time: f.when(p), Address: f.address(p), Delivered: web.Count(p.GetDelivered()), FailedAttempts: web.Count(p.GetFailedAttempts()),
		FailedDelivered: web.Count(p.GetFailedDeliveries()), P50: took(p.GetLatencyP50()), P95: took(p.GetLatencyP95()), Waiting: p.queue(),
	}
}
