package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// chart is a line chart with one horizontal axis.
type chart struct {
	title, x, y string
	// log says that the horizontal axis is logarithmic.
	log   bool
	lines []series
}

// series is one line of a chart.
type series struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// The size of a chart in pixels, and what its axes and the names of its lines take of it.
const (
	chartWidth, chartHeight = 720, 360
	plotLeft, plotRight     = 70, 190
	plotTop, plotBottom     = 40, 50
	plotWidth, plotHeight   = chartWidth - plotLeft - plotRight, chartHeight - plotTop - plotBottom
	yTicks                  = 5
	chartFont               = `font-family="sans-serif" font-size="12" fill="#222"`
)

// svg draws a chart. Values begin at 0.
func (c chart) svg() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", chartWidth, chartHeight,
		html.EscapeString(c.title))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	text(&b, chartWidth/2, 22, "middle", c.title)
	text(&b, plotLeft+plotWidth/2, chartHeight-12, "middle", c.x)
	text(&b, 8, plotTop-12, "start", c.y)
	top, first, last := c.bounds()
	for i := range yTicks + 1 {
		value := top * float64(i) / yTicks
		y := plotTop + plotHeight*(1-value/top)
		fmt.Fprintf(&b, `<path d="M%d %.1fh%d" stroke="#ddd"/>`+"\n", plotLeft, y, plotWidth)
		text(&b, plotLeft-8, y+4, "end", number(value))
	}
	at := func(x float64) float64 {
		if c.log {
			x, first, last := math.Log(x), math.Log(first), math.Log(last)
			return plotLeft + plotWidth*(x-first)/(last-first)
		}
		return plotLeft + plotWidth*(x-first)/(last-first)
	}
	for _, x := range c.marks(first, last) {
		text(&b, at(x), plotTop+plotHeight+20, "middle", number(x))
	}
	for i, l := range c.lines {
		color := []string{"#1f6feb", "#d1570b", "#2a8a3e", "#8a3fc4"}[i%4]
		var path []string
		for _, p := range l.points {
			path = append(path, fmt.Sprintf("%.1f %.1f", at(p.x), plotTop+plotHeight*(1-p.y/top)))
		}
		fmt.Fprintf(&b, `<path d="M%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, "L"), color)
		y := plotTop + 20*float64(i)
		fmt.Fprintf(&b, `<path d="M%d %.0fh20" stroke="%s" stroke-width="2"/>`+"\n", plotLeft+plotWidth+12, y, color)
		text(&b, plotLeft+plotWidth+38, y+4, "start", l.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// bounds are the end of the vertical axis and both ends of the horizontal one.
func (c chart) bounds() (top, first, last float64) {
	first = math.Inf(1)
	for _, l := range c.lines {
		for _, p := range l.points {
			top, first, last = max(top, p.y), min(first, p.x), max(last, p.x)
		}
	}
	if top <= 0 {
		top = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(top)))
	top = math.Ceil(2*top/step) * step / 2
	if last <= first {
		last = first + 1
	}
	return top, first, last
}

// marks are the values that the horizontal axis names.
func (c chart) marks(first, last float64) (out []float64) {
	if c.log {
		for _, p := range c.lines[0].points {
			out = append(out, p.x)
		}
		return out
	}
	for i := range yTicks + 1 {
		out = append(out, first+(last-first)*float64(i)/yTicks)
	}
	return out
}

func text(b *bytes.Buffer, x, y float64, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, chartFont, html.EscapeString(s))
}

// number is a value with three digits.
func number(x float64) string {
	if x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// plot writes a chart to the folder of -plots, if there is one.
func (b *bench) plot(name string, c chart) {
	if b.plots == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(b.plots, name+".svg"), c.svg(), 0o644); err != nil { //nolint:gosec // a picture for everybody
		b.Errorf("write a plot: %v", err)
	}
}

// plotSizes draws how the use of the system grows with the number of recipients.
func (b *bench) plotSizes(sizes []size) {
	line := func(name string, value func(size) float64) series {
		s := series{name: name}
		for _, x := range sizes {
			s.points = append(s.points, point{float64(x.recipients), value(x)})
		}
		return s
	}
	chartOf := func(title, y string, lines ...series) chart {
		return chart{title: title, x: "recipients, of which one wants an event", y: y, log: true, lines: lines}
	}
	b.plot("bench-memory", chartOf("Memory", "MiB",
		line("idle", func(x size) float64 { return float64(x.idle.memory >> 20) }),
		line(fmt.Sprint(scaleRate, " events/s"), func(x size) float64 { return float64(x.steady.memory >> 20) }),
		line("full speed", func(x size) float64 { return float64(x.full.memory >> 20) })))
	b.plot("bench-processor", chartOf("Processor time of a delivery", "µs",
		line(fmt.Sprint(scaleRate, " events/s"), func(x size) float64 { return x.steady.perDelivery }),
		line("full speed", func(x size) float64 { return x.full.perDelivery })))
	b.plot("bench-idle", chartOf("Processor time of an idle system", "cores", line("idle", func(x size) float64 { return x.idle.cores })))
}

// plotSoak draws what the system held during a soak.
func (b *bench) plotSoak(samples []sample) {
	line := func(name string, value func(sample) int) series {
		s := series{name: name}
		for _, x := range samples {
			s.points = append(s.points, point{x.at.Minutes(), float64(value(x))})
		}
		return s
	}
	b.plot("bench-soak", chart{title: "Soak", x: "minutes", y: "MiB, number", lines: []series{
		line("memory, MiB", func(x sample) int { return x.memory >> 20 }), line("goroutines", func(x sample) int { return x.goroutines }),
		line("descriptors", func(x sample) int { return x.descriptors }),
	}})
}
