package plot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/services/console/internal/web"
)

// Panel is one plot.
type Panel struct {
	Frame
	// ID is unique on the page; Summary is the text alternative.
	ID, Title, Summary string
	// Keys are the legend, with the figures of the whole range.
	Keys []Key
	// Grid are the lines across with their labels, Ticks the labels of the time.
	Grid, Ticks []Label
	// Slots are the intervals, which are pointed at and chosen.
	Slots []Slot
	// Rects are the bars, Paths the lines.
	Rects []Rect
	Paths []Path
	// Unknown covers what is not known; nil: all is.
	Unknown *Rect
}

// Key is a line of the legend.
type Key struct{ Class, Label, Value string }

// Label is a text beside or below the plot.
type Label struct{ X, Y, Text string }

// Slot is an interval.
type Slot struct {
	X, Width, Title, Address, Start, End string
}

// Rect is a rectangle.
type Rect struct{ Class, X, Y, Width, Height string }

// Path is a line.
type Path struct{ Class, D string }

// Frame is where the plot is in its SVG.
type Frame struct {
	ViewBox                      string
	Left, Top, Base, Inner, Tall int
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return web.Count(n) + " " + many
}

func unit(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

// scale places values on the plot.
type scale struct {
	at     func(v float64) float64
	labels []Label
}

// label makes a line across.
func label(y float64, text string) Label {
	return Label{X: strconv.Itoa(left - 6), Y: unit(y), Text: text}
}

// linear is a scale from zero to a round number that is not below the greatest value.
func linear(greatest float64) scale {
	step := math.Pow(10, math.Floor(math.Log10(max(greatest, 1))))
	for _, x := range []float64{0.1, 0.2, 0.25, 0.5, 1, 2, 5} {
		if s := step * x; s >= 1 && s == math.Floor(s) && greatest/s <= 4 {
			step = s
			break
		}
	}
	end := max(math.Ceil(greatest/step), 1) * step
	s := scale{at: func(v float64) float64 { return baseline - v/end*innerHeight }}
	for v := 0.0; v <= end; v += step {
		s.labels = append(s.labels, label(s.at(v), compact(v)))
	}
	return s
}

// compact writes a number so that it fits beside the plot.
func compact(v float64) string {
	for _, x := range []struct {
		from float64
		sign string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if v >= x.from {
			size := x.from
			if x.sign == "k" {
				size = 1e3
			}
			return strconv.FormatFloat(v/size, 'f', -1, 64) + " " + x.sign
		}
	}
	return web.Count(int64(v))
}

// roundTimes are the labels of the scale of latencies.
func roundTimes() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{
		time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour,
		6 * time.Hour, day, 7 * day, 30 * day,
	}
}

// logarithmic is a scale of times between round ones.
func logarithmic(least, greatest time.Duration) scale {
	times := roundTimes()
	first, last := 0, 1
	for i, t := range times {
		if t <= least {
			first = i
		}
		if t < greatest {
			last = min(i+1, len(times)-1)
		}
	}
	last = max(last, first+1)
	low, high := math.Log(float64(times[first])), math.Log(float64(times[min(last, len(times)-1)]))
	s := scale{at: func(v float64) float64 {
		share := (math.Log(max(v, 1)) - low) / (high - low)
		return baseline - min(max(share, 0), 1)*innerHeight
	}}
	before := math.Inf(1)
	for _, t := range times[first : last+1] {
		if y := s.at(float64(t)); before-y >= labelDistance {
			s.labels, before = append(s.labels, label(y, web.Words(t))), y
		}
	}
	return s
}

// panel makes what all plots have.
func (f figures) panel(id, title string, say func(point) string) Panel {
	p := Panel{ID: id, Title: title, Ticks: f.ticks(), Frame: Frame{
		ViewBox: fmt.Sprintf("0 0 %d %d", width, height), Left: left, Top: top, Base: baseline, Inner: innerWidth, Tall: innerHeight,
	}}
	unknown := 0.0
	for _, x := range f.points {
		if !x.known {
			unknown = x.x + f.step
		}
		p.Slots = append(p.Slots, Slot{
			X: unit(x.x), Width: unit(f.step), Title: f.when(x) + ": " + say(x), Address: f.address(x),
			Start: x.start.UTC().Format(time.RFC3339), End: x.end.UTC().Format(time.RFC3339),
		})
	}
	if unknown > 0 {
		p.Unknown = &Rect{
			Class: "unknown", X: strconv.Itoa(left), Y: strconv.Itoa(top), Width: unit(unknown - left), Height: strconv.Itoa(innerHeight),
		}
	}
	return p
}

// ticks are the labels of the time: at round times of the zone.
func (f figures) ticks() (out []Label) {
	for _, p := range f.points {
		at := p.start.In(f.zone)
		_, offset := at.Zone()
		local := at.Unix() + int64(offset)
		if local%int64(f.span.tick/time.Second) != 0 || p.x < left+labelHalf || p.x > width-right-labelHalf {
			continue
		}
		out = append(out, Label{X: unit(p.x), Y: strconv.Itoa(height - 6), Text: at.Format(f.span.layout)})
	}
	return out
}

// bar makes a rectangle from a height up.
func (f figures) bar(class string, p point, from, to float64) Rect {
	h := max(from-to, leastHeight)
	return Rect{Class: class, X: unit(p.x + f.step*barGap/2), Y: unit(from - h), Width: unit(f.step * (1 - barGap)), Height: unit(h)}
}

// deliveries are bars of what was delivered, with failed attempts above.
func (f figures) deliveries() Panel {
	greatest := 0.0
	for _, p := range f.points {
		greatest = max(greatest, float64(p.GetDelivered()+p.GetFailedAttempts()))
	}
	s := linear(greatest)
	out := f.panel("deliveries", "Deliveries", func(p point) string {
		text := web.Count(p.GetDelivered()) + " delivered, " + plural(p.GetFailedAttempts(), "failed attempt", "failed attempts")
		if n := p.GetFailedDeliveries(); n > 0 {
			text += ", " + plural(n, "failed delivery", "failed deliveries")
		}
		return text
	})
	out.Grid = s.labels
	for _, p := range f.points {
		from := float64(baseline)
		if n := p.GetDelivered(); n > 0 {
			r := f.bar("good", p, from, s.at(float64(n)))
			out.Rects = append(out.Rects, r)
			from = min(s.at(float64(n)), from-leastHeight)
		}
		if n := p.GetFailedAttempts(); n > 0 {
			out.Rects = append(out.Rects, f.bar("bad", p, from, from-(baseline-s.at(float64(n)))))
		}
	}
	t := f.GetTotal()
	out.Keys = []Key{{"good", "delivered", web.Count(t.GetDelivered())}, {"bad", "failed attempts", web.Count(t.GetFailedAttempts())}}
	if n := t.GetFailedDeliveries(); n > 0 {
		out.Keys = append(out.Keys, Key{"", "failed deliveries", web.Count(n)})
	}
	out.Summary = f.span.title + ": " + web.Count(t.GetDelivered()) + " delivered, " +
		plural(t.GetFailedAttempts(), "failed attempt", "failed attempts") + ", " +
		plural(t.GetFailedDeliveries(), "failed delivery", "failed deliveries")
	return out
}

// latency are lines of half and of 95 % of the deliveries.
func (f figures) latency() Panel {
	least, greatest := time.Duration(math.MaxInt64), time.Duration(0)
	for _, p := range f.points {
		if p.LatencyP50 != nil {
			least, greatest = min(least, p.GetLatencyP50().AsDuration()), max(greatest, p.GetLatencyP95().AsDuration())
		}
	}
	if greatest == 0 {
		least, greatest = 10*time.Millisecond, time.Second
	}
	s := logarithmic(least, greatest)
	out := f.panel("latency", "Latency", func(p point) string {
		if p.LatencyP50 == nil {
			return "no deliveries"
		}
		return "half within " + took(p.GetLatencyP50()) + ", 95 % within " + took(p.GetLatencyP95())
	})
	out.Grid = s.labels
	out.Paths = slices.Concat(
		f.line("p95", func(p point) (float64, bool) {
			return s.at(float64(p.GetLatencyP95().AsDuration())), p.LatencyP95 != nil
		}),
		f.line("p50", func(p point) (float64, bool) {
			return s.at(float64(p.GetLatencyP50().AsDuration())), p.LatencyP50 != nil
		}),
	)
	t := f.GetTotal()
	out.Keys = []Key{{"p50", "p50", took(t.GetLatencyP50())}, {"p95", "p95", took(t.GetLatencyP95())}}
	out.Summary = f.span.title + ": half of the deliveries within " + took(t.GetLatencyP50()) + ", 95 % within " + took(t.GetLatencyP95())
	return out
}

// queue are bars of how many deliveries waited.
func (f figures) queue() Panel {
	greatest := float64(f.GetTotal().GetWaiting())
	s := linear(greatest)
	out := f.panel("queue", "Queue", func(p point) string {
		if p.Waiting == nil {
			return "not known"
		}
		return "up to " + p.queue() + " waiting"
	})
	out.Grid = s.labels
	now := "–"
	for _, p := range f.points {
		if n := p.GetWaiting(); n > 0 {
			out.Rects = append(out.Rects, f.bar("waiting", p, baseline, s.at(float64(n))))
		}
		if p.Waiting != nil {
			now = p.queue()
		}
	}
	longest := "–"
	if f.GetTotal().Waiting != nil {
		longest = web.Count(f.GetTotal().GetWaiting())
	}
	out.Keys = []Key{{"waiting", "longest", longest}, {"", "last", now}}
	out.Summary = f.span.title + ": the longest queue had " + longest + " deliveries, the last " + now
	return out
}

// line connects what is known, and dots what is known between two intervals that are not.
func (f figures) line(class string, at func(point) (float64, bool)) []Path {
	var lines, dots strings.Builder
	for i, p := range f.points {
		y, ok := at(p)
		if !ok {
			continue
		}
		before, after := f.has(i-1, at), f.has(i+1, at)
		x := unit(p.x + f.step/2)
		switch {
		case before:
			fmt.Fprintf(&lines, "L%s %s", x, unit(y))
		case after:
			fmt.Fprintf(&lines, "M%s %s", x, unit(y))
		default:
			fmt.Fprintf(&dots, "M%s %sh.01", x, unit(y))
		}
	}
	return []Path{{class, lines.String()}, {class + " dot", dots.String()}}
}

// has reports whether there is a value in an interval.
func (f figures) has(i int, at func(point) (float64, bool)) bool {
	if i < 0 || i >= len(f.points) {
		return false
	}
	_, ok := at(f.points[i])
	return ok
}
