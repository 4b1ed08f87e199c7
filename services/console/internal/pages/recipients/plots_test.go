package recipients_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// GetTimeSeries tells a series that is complete but for its first three intervals: 1, 2, 3 ... deliveries, every fifth interval with
// failed attempts.
func (h *fixture) GetTimeSeries(_ context.Context, q *outboundv1.GetTimeSeriesRequest) (*outboundv1.TimeSeries, error) {
	h.note(q)
	n, every := 144, 10*time.Minute
	switch q.GetRange() {
	case outboundv1.TimeSeriesRange_HOUR:
		n, every = 60, time.Minute
	case outboundv1.TimeSeriesRange_WEEK:
		n, every = 168, time.Hour
	default:
	}
	end := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	start := end.Add(-time.Duration(n-1) * every)
	out := &outboundv1.TimeSeries{
		Interval: durationpb.New(every), Range: q.GetRange(), KnownSinceTime: timestamppb.New(start.Add(3*every - time.Second)),
		Total: &outboundv1.TimeSeriesPoint{Delivered: 4321, FailedAttempts: 77, FailedDeliveries: 3, Waiting: proto.Int64(40),
			LatencyP50: durationpb.New(23 * time.Millisecond), LatencyP95: durationpb.New(1500 * time.Millisecond)},
	}
	for i := range n {
		p := &outboundv1.TimeSeriesPoint{StartTime: timestamppb.New(start.Add(time.Duration(i) * every))}
		if i >= 3 && i%12 != 0 {
			p.Delivered, p.Waiting = int64(i%31+1), proto.Int64(int64(i%40))
			p.LatencyP50 = durationpb.New(time.Duration(20+i%9) * time.Millisecond)
			p.LatencyP95 = durationpb.New(time.Duration(90+(i%13)*(i%13)*9) * time.Millisecond)
		}
		if i%5 == 4 {
			p.FailedAttempts = int64(i % 7)
		}
		out.Points = append(out.Points, p)
	}
	return out, nil
}

func TestPlotsShowWhatHappenedAndLeadToTheDeliveries(t *testing.T) {
	h := newFixture(httpRecipient("crm", "CRM", true))
	who := h.open(t).As("viewer")
	for _, x := range []struct {
		path      string
		asked     outboundv1.TimeSeriesRange_Range
		recipient string
		slots     int
		has       []string
	}{
		{"/?q=c&sort=-queued", outboundv1.TimeSeriesRange_DAY, "", 144, []string{`href="/?q=c&amp;range=1h&amp;sort=-queued"`,
			`href="/?q=c&amp;sort=-queued" aria-current="true"`, `href="/deliveries?startTime=2026-11-21T10:00:00Z&amp;endTime=2026-11-21T10:10:00Z"`,
			"delivered <b>4\u202f321</b>", "p95 <b>1.5 s</b>", "longest <b>40</b>", "Each interval is 10 min. Times are in UTC.",
			"Counted since 2026-11-20 10:39 UTC"}},
		{"/?range=7d", outboundv1.TimeSeriesRange_WEEK, "", 168, []string{">Last 7 days</h2>", `<input type="hidden" name="range" value="7d">`}},
		{"/recipients/crm?range=1h", outboundv1.TimeSeriesRange_HOUR, "crm", 60, []string{`href="/recipients/crm?range=7d"`,
			`href="/deliveries?recipientId=crm&amp;startTime=2026-11-21T10:00:00Z&amp;endTime=2026-11-21T10:01:00Z"`,
			"hx-get=\"/part/plots?page=%2Frecipients%2Fcrm%3Frange%3D1h&amp;recipientId=crm\""}},
		{"/part/plots?recipientId=crm&page=" + url.QueryEscape("/recipients/crm?range=1h"), outboundv1.TimeSeriesRange_HOUR, "crm",
			60, []string{`<section class="plots" id="plots"`, `href="/recipients/crm?range=7d"`}},
		{"/part/plots?page=" + url.QueryEscape("//evil.example/x"), outboundv1.TimeSeriesRange_DAY, "", 144, []string{`href="/?range=7d"`}},
		{"/part/plots?page=" + url.QueryEscape("javascript:alert(1)"), outboundv1.TimeSeriesRange_DAY, "", 144,
			[]string{`href="/?range=7d"`}},
	} {
		page := who.Get(x.path)
		if page.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", x.path, page.Status, page.Body)
		}
		asked := last[*outboundv1.GetTimeSeriesRequest](t, h)
		if asked.GetRange() != x.asked || asked.GetRecipientId() != x.recipient {
			t.Errorf("%s asks for %v", x.path, asked)
		}
		if n := strings.Count(page.Body, "data-start="); n != 3*x.slots {
			t.Errorf("%s has %d intervals in its plots, want %d in each of three", x.path, n, x.slots)
		}
		for _, want := range x.has {
			if !strings.Contains(page.Body, want) {
				t.Errorf("%s does not have %s", x.path, want)
			}
		}
		if strings.Contains(page.Body, "evil.example") || strings.Contains(page.Body, `href="javascript:`) {
			t.Errorf("%s leads elsewhere", x.path)
		}
	}
}

func TestPlotsAreInTheZoneThatIsShown(t *testing.T) {
	who := newFixture(httpRecipient("crm", "CRM", true)).open(t).As("viewer")
	for _, x := range []struct{ zone, choice, want string }{
		{"Asia%2FKolkata", "", "Times are in IST."}, {"Asia%2FKolkata", "utc", "Times are in UTC."},
		{"Europe%2FVienna", "local", "Times are in CET."},
		{"..%2F..%2Fetc%2Fpasswd", "", "Times are in UTC."}, {"No%2FSuch", "", "Times are in UTC."}, {"Local", "", "Times are in UTC."},
	} {
		who.Cookies["outbound-tz"] = x.zone
		who.Cookies["outbound-zone"] = x.choice
		page := who.Get("/")
		if page.Status != http.StatusOK || !strings.Contains(page.Body, x.want) {
			t.Errorf("in %s, %q: %d, without %q", x.zone, x.choice, page.Status, x.want)
		}
		if x.want == "Times are in IST." && !strings.Contains(page.Body, "2026-11-21 15:30–15:40 IST") {
			t.Errorf("the last interval is not in %s", x.zone)
		}
	}
}

var textOfSVG = regexp.MustCompile(`<text[^>]*>([^<]*)</text>`)

func TestAxesHaveRoundNumbers(t *testing.T) {
	page := newFixture(httpRecipient("crm", "CRM", true)).open(t).As("viewer").Get("/")
	var labels []string
	for _, m := range textOfSVG.FindAllStringSubmatch(page.Body, -1) {
		labels = append(labels, m[1])
	}
	got := strings.Join(labels, " ")
	const times = " 12:00 18:00 00:00 06:00 "
	want := "0 10 20 30 40" + times + "10 ms 100 ms 1 s 10 s" + times + "0 10 20 30 40" + strings.TrimSuffix(times, " ")
	if got != want {
		t.Errorf("the labels are %q, want %q", got, want)
	}
}
