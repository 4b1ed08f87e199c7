package recipients

import (
	"fmt"
	"strconv"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// sparkline is a bar chart of 24 hours: one bar per hour, failed attempts on top of deliveries.
type sparkline struct {
	Bars []bar
	// Percent is the success rate; Words is the text alternative of the chart.
	Percent, Words string
}

// bar is one hour, in coordinates of an SVG rectangle.
type bar struct {
	X, GoodY, GoodHeight, BadY, BadHeight string
}

// The size of the chart in SVG units.
const (
	sparkHours  = 24
	sparkHeight = 20
	sparkStep   = 4
)

// Spark returns the chart of the last 24 hours; nil without attempts.
func (r row) Spark() *sparkline { return sparkOf(r.Status.GetActivity()) }

func sparkOf(hours []*outboundv1.Activity) *sparkline {
	var delivered, failed, most int64
	for _, h := range hours {
		delivered, failed, most = delivered+h.GetDelivered(), failed+h.GetFailed(), max(most, h.GetDelivered()+h.GetFailed())
	}
	if most == 0 {
		return nil
	}
	s := &sparkline{Percent: percent(delivered, delivered+failed),
		Words: fmt.Sprintf("Last 24 hours: %d delivered, %d failed attempts", delivered, failed)}
	for i, h := range hours {
		good, bad := height(h.GetDelivered(), most), height(h.GetFailed(), most)
		s.Bars = append(s.Bars, bar{
			X:     strconv.Itoa((sparkHours - len(hours) + i) * sparkStep),
			GoodY: figure(sparkHeight - good), GoodHeight: figure(good), BadY: figure(sparkHeight - good - bad), BadHeight: figure(bad),
		})
	}
	return s
}

// height scales n to the highest bar. A value above zero is always visible.
func height(n, most int64) float64 {
	if n == 0 {
		return 0
	}
	return max(1, float64(n)/float64(most)*(sparkHeight-1))
}

func figure(x float64) string { return strconv.FormatFloat(max(0, x), 'f', 1, 64) }

// percent rounds a share, but never to 100 % of less than all nor to 0 % of more than none.
func percent(n, of int64) string {
	switch p := 100 * float64(n) / float64(of); {
	case n == 0, n == of:
		return strconv.FormatFloat(p, 'f', 0, 64) + " %"
	case p > 99.9:
		return "99.9 %"
	case n > 0 && p < 0.1:
		return "0.1 %"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
}
