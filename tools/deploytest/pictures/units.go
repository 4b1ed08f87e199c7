package main

import (
	"math"
	"strconv"
	"strings"
)

// unit is a name for a multiple.
type unit struct {
	from float64
	name string
}

var (
	seconds = []unit{{1e-9, " ns"}, {1e-6, " µs"}, {1e-3, " ms"}, {1, " s"}, {60, " min"}, {3600, " hours"}, {86400, " days"},
		{7 * 86400, " weeks"}, {365.25 * 86400, " years"}}
	bytes  = []unit{{1, " B"}, {1 << 10, " KiB"}, {1 << 20, " MiB"}, {1 << 30, " GiB"}, {1 << 40, " TiB"}}
	counts = []unit{{1, ""}, {1e3, " K"}, {1e6, " Mil"}, {1e9, " Bil"}}
)

// quantity is a value in one of Grafana's units.
func quantity(v float64, of string) string {
	switch of {
	case "s":
		return scaled(v, seconds)
	case "bytes":
		return scaled(v, bytes)
	case "percentunit":
		return digits(v*100) + "%"
	case "reqps":
		return scaled(v, counts) + " req/s"
	case "ops":
		return scaled(v, counts) + " ops/s"
	default:
		return scaled(v, counts)
	}
}

// scaled is a value in the largest unit that it has one of.
func scaled(v float64, units []unit) string {
	if v == 0 {
		for _, u := range units {
			if u.from == 1 {
				return "0" + u.name
			}
		}
	}
	best := units[0]
	for _, u := range units {
		// What would be rounded to the next unit is given in it.
		if math.Abs(v) >= u.from*0.9995 {
			best = u
		}
	}
	return digits(v/best.from) + best.name
}

// digits is a value with three digits, and without zeros at its end.
func digits(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	after := 2 - int(math.Floor(math.Log10(max(math.Abs(v), 1e-3))))
	s := strconv.FormatFloat(v, 'f', max(after, 0), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// increments are the distances that marks on an axis may have, in the values of a unit.
func increments(of string, scale float64) []float64 {
	var out []float64
	switch {
	case of == "s" && scale > 3600:
		for _, minutes := range []float64{30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400} {
			out = append(out, minutes*60)
		}
	case of == "s" && scale > 60:
		for _, s := range []float64{10, 15, 30, 60, 120, 300, 600, 900, 1200} {
			out = append(out, s)
		}
	case of == "bytes":
		for e := range 50 {
			out = append(out, math.Pow(2, float64(e)))
		}
	default:
		for e := -9; e < 12; e++ {
			for _, m := range []float64{1, 2, 2.5, 5} {
				out = append(out, m*math.Pow(10, float64(e)))
			}
		}
	}
	return out
}

// axis is the lowest and highest value of an axis and the distance of its marks.
type axis struct{ low, high, step float64 }

// newAxis puts at most some marks on an axis from low to high.
func newAxis(low, high float64, of string, most int) axis {
	if high <= low {
		high = low + 1
	}
	step := (high - low) / float64(most)
	for _, i := range increments(of, high-low) {
		if i >= step*0.999 {
			step = i
			break
		}
	}
	return axis{math.Floor(low/step+1e-9) * step, math.Ceil(high/step-1e-9) * step, step}
}

// marks are the values that an axis names.
func (a axis) marks() []float64 {
	var out []float64
	for i := range int(math.Round((a.high-a.low)/a.step)) + 1 {
		out = append(out, a.low+float64(i)*a.step)
	}
	return out
}
