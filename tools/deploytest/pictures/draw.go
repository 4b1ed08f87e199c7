package main

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// The layout of Grafana's grid in pixels: 24 columns, rows of 30, and 8 between panels.
const (
	pageWidth = 1280
	gap       = 8
	rowHeight = 30
	columns   = 24
	header    = 48
)

// What a panel's parts take, in pixels.
const (
	padding     = 8
	titleHeight = 26
	legendRow   = 18
	letter      = 6.3
	axisHeight  = 20
	markEvery   = 40
)

// colors are those of Grafana's classic palette.
var colors = []string{"#73bf69", "#d9a400", "#5794f2", "#ff780a", "#e02f44", "#1f60c4", "#b877d9", "#705da0", "#37872d", "#c4162a",
	"#00a3a3", "#8f5d00", "#56a64b", "#8ab8ff"}

// box is where a panel is.
type box struct{ Left, Top, Width, Height float64 }

func place(p panel) box {
	cell := float64(pageWidth-gap*(columns+1)) / columns
	g := p.GridPos
	return box{gap + float64(g.X)*(cell+gap), header + float64(g.Y)*(rowHeight+gap), float64(g.W)*cell + float64(g.W-1)*gap,
		float64(g.H)*(rowHeight+gap) - gap}
}

// drawn is a panel as the page has it.
type drawn struct {
	box
	Title string
	Plot  template.HTML
	// Value is that of a stat, Color its color.
	Value, Color string
	Legend       []entry
	Table        *table
	Empty        bool
}

type entry struct{ Name, Color string }

// draw draws a panel with the figures that a source has for it.
func (s *source) draw(p panel) (drawn, error) {
	out := drawn{box: place(p), Title: p.Title}
	if p.Type == "table" {
		t, err := s.table(p)
		out.Table, out.Empty = &t, len(t.Rows) == 0
		return out, err
	}
	lines, err := s.lines(p)
	if err != nil {
		return out, err
	}
	out.Empty = len(lines) == 0
	if out.Empty {
		return out, nil
	}
	width, height := out.Width-2*padding, out.Height-titleHeight-padding
	switch p.Type {
	case "stat":
		points := lines[0].points
		last := points[len(points)-1].F
		out.Value, out.Color = quantity(last, p.FieldConfig.Defaults.Unit), colorOf(last, p.FieldConfig.Defaults.Thresholds.Steps)
		out.Plot = s.sparkline(points, out.Color, out.Width, height/2)
	case "timeseries":
		for i, l := range lines {
			out.Legend = append(out.Legend, entry{l.name, colors[i%len(colors)]})
		}
		height -= legendRow * float64(legendRows(out.Legend, width))
		out.Plot = s.plot(p, lines, width, height)
	default:
		return out, fmt.Errorf("%s: a panel of type %s can't be drawn", p.Title, p.Type)
	}
	return out, nil
}

// colorOf is the color of a value. Without thresholds Grafana takes green below 80 and red from there on.
func colorOf(v float64, steps []threshold) string {
	eighty := 80.0
	if len(steps) == 0 {
		steps = []threshold{{Color: "green"}, {Color: "red", Value: &eighty}}
	}
	name := steps[0].Color
	for _, s := range steps[1:] {
		if s.Value != nil && v >= *s.Value {
			name = s.Color
		}
	}
	shades := map[string]string{"green": "#3d9a35", "red": "#d0212f", "orange": "#e0730a", "blue": "#1f60c4", "text": "#24292e"}
	if shade, known := shades[name]; known {
		return shade
	}
	return name
}

// legendRows is how many rows the names of lines take.
func legendRows(entries []entry, width float64) int {
	rows, used := 1, 0.0
	for _, e := range entries {
		takes := 30 + letter*float64(len([]rune(e.Name)))
		if used > 0 && used+takes > width {
			rows, used = rows+1, 0
		}
		used += takes
	}
	return rows
}

// runs are the parts of a line without a gap.
func (s *source) runs(points []promql.FPoint) [][]promql.FPoint {
	var out [][]promql.FPoint
	begin := true
	last := int64(0)
	for _, p := range points {
		if math.IsNaN(p.F) || math.IsInf(p.F, 0) {
			begin = true
			continue
		}
		if begin || p.T-last > s.step.Milliseconds() {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], p)
		begin, last = false, p.T
	}
	return out
}

// across is where a time is, from 0 to 1.
func (s *source) across(t int64) float64 {
	return float64(t-s.from.UnixMilli()) / float64(s.to.Sub(s.from).Milliseconds())
}

// path is a line as the path of an SVG.
func (s *source) path(points []promql.FPoint, x, y func(float64) float64) string {
	var out []string
	for _, p := range points {
		out = append(out, fmt.Sprintf("%.1f %.1f", x(s.across(p.T)), y(p.F)))
	}
	return "M" + strings.Join(out, "L")
}

// sparkline is the line below the value of a stat.
func (s *source) sparkline(points []promql.FPoint, color string, width, height float64) template.HTML {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p.F), max(high, p.F)
	}
	if high <= low {
		low, high = low-1, high+1
	}
	x := func(part float64) float64 { return width * part }
	y := func(v float64) float64 { return 2 + (height-4)*(1-(v-low)/(high-low)) }
	var b strings.Builder
	begin(&b, width, height)
	for _, run := range s.runs(points) {
		d := s.path(run, x, y)
		end, start := x(s.across(run[len(run)-1].T)), x(s.across(run[0].T))
		fmt.Fprintf(&b, `<path d="%sL%.1f %.1fL%.1f %.1fZ" fill="%s" fill-opacity="0.12"/>`, d, end, height, start, height, color)
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s"/>`, d, color)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // it holds numbers only
}

// plot draws the lines of a panel with both axes.
func (s *source) plot(p panel, lines []line, width, height float64) template.HTML {
	defaults := p.FieldConfig.Defaults
	a := vertical(lines, defaults.Min, defaults.Max, defaults.Unit, int((height-axisHeight)/markEvery))
	var names []string
	left := 0.0
	for _, v := range a.marks() {
		names = append(names, quantity(v, defaults.Unit))
		left = max(left, 10+letter*float64(len([]rune(names[len(names)-1]))))
	}
	const top, right = 6, 10
	bottom := height - axisHeight
	x := func(part float64) float64 { return left + (width-left-right)*part }
	y := func(v float64) float64 { return top + (bottom-top)*(1-(v-a.low)/(a.high-a.low)) }
	var b strings.Builder
	begin(&b, width, height)
	for i, v := range a.marks() {
		fmt.Fprintf(&b, `<path d="M%.1f %.0f.5h%.1f" stroke="#e4e7eb"/>`, left, y(v), width-left-right)
		label(&b, left-6, y(v)+4, "end", names[i])
	}
	for at := s.from.Truncate(time.Minute).Add(time.Minute); !at.After(s.to); at = at.Add(s.minutes()) {
		where := x(s.across(at.UnixMilli()))
		if where > width-right-14 {
			continue
		}
		fmt.Fprintf(&b, `<path d="M%.0f.5 %dV%.1f" stroke="#e4e7eb"/>`, where, top, bottom)
		label(&b, where, height-5, "middle", at.Format("15:04"))
	}
	for i, l := range lines {
		color := colors[i%len(colors)]
		for _, run := range s.runs(l.points) {
			if len(run) == 1 {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`, x(s.across(run[0].T)), y(run[0].F), color)
				continue
			}
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5" stroke-linejoin="round"/>`, s.path(run, x, y), color)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // names are escaped
}

// minutes is the distance of marks on the axis of time.
func (s *source) minutes() time.Duration {
	return max(time.Minute, (s.to.Sub(s.from) / 6).Round(time.Minute))
}

// vertical is the axis of values.
func vertical(lines []line, low, high *float64, of string, marks int) axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.points {
			if !math.IsNaN(p.F) && !math.IsInf(p.F, 0) {
				least, most = min(least, p.F), max(most, p.F)
			}
		}
	}
	if math.IsInf(least, 0) {
		least, most = 0, 1
	}
	if low != nil {
		least = *low
	}
	if high != nil {
		most = *high
	}
	if most == least && low == nil {
		least, most = least-math.Abs(least)/2, most+math.Abs(most)/2
	}
	return newAxis(least, most, of, max(marks, 2))
}

func begin(b *strings.Builder, width, height float64) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.1f" height="%.1f">`, width, height)
}

func label(b *strings.Builder, x, y float64, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(s))
}
