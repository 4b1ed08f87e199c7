package pull_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/pull"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

const (
	pulls        = "GET /v1/recipients/crm/deliveries:pull"
	acknowledges = "POST /v1/recipients/crm/deliveries:acknowledge"
)

// delivery is a delivery with a number, in a state.
func delivery(n uint64, state outboundv1.DeliveryState_State) *outboundv1.PulledDelivery {
	return &outboundv1.PulledDelivery{
		Sequence: n, Previous: n - 1, EventId: fmt.Sprintf("tux~e%d", n), EventType: "disk_full", ApplianceId: "tux",
		AcceptTime: &timestamppb.Timestamp{Seconds: 1_700_000_000}, State: state,
		Headers: map[string]string{"Content-Type": "application/json", "Webhook-Id": fmt.Sprintf("tux~e%d", n),
			"Outbound-Sequence": fmt.Sprint(n)},
		Body: fmt.Appendf(nil, `{"n":%d}`, n),
	}
}

func waiting(n uint64) *outboundv1.PulledDelivery {
	return delivery(n, outboundv1.DeliveryState_WAITING)
}

func delivered(n uint64) *outboundv1.PulledDelivery {
	return delivery(n, outboundv1.DeliveryState_DELIVERED)
}

// bare is a delivery without a body.
func bare(n uint64, state outboundv1.DeliveryState_State, reason, note string) *outboundv1.PulledDelivery {
	d := delivery(n, state)
	d.Headers, d.Body, d.Reason, d.Note = nil, nil, reason, note
	return d
}

// page is an answer with deliveries.
func page(more bool, list ...*outboundv1.PulledDelivery) clitest.Answer {
	p := &outboundv1.PullDeliveriesResponse{Deliveries: list, More: more, Cursor: 1, Last: 9}
	if len(list) > 0 {
		p.NextAfter = list[len(list)-1].GetSequence()
	}
	return clitest.Message(p)
}

func acknowledged(n int32) clitest.Answer {
	return clitest.Message(&outboundv1.AcknowledgeDeliveriesResponse{Acknowledged: n, Cursor: 9})
}

// paths are the paths of the pulls and the bodies of the acknowledgements, in their order.
func paths(s *clitest.Server) (out []string) {
	for _, c := range s.Calls("") {
		if c.Method == http.MethodGet {
			_, query, _ := strings.Cut(c.Path, "?")
			out = append(out, query)
			continue
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(c.Body), &body); err != nil {
			body = map[string]any{"not JSON": c.Body}
		}
		out = append(out, fmt.Sprint(body))
	}
	return out
}

// request is a request that a receiver got.
type request struct {
	header http.Header
	body   string
}

// receiver answers with one status after another, then with 200, and keeps what it got.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

func receive(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil || in.Method != http.MethodPost || in.URL.Path != "/hook" {
			t.Errorf("the receiver got %s %s: %v", in.Method, in.URL, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, request{in.Header, string(body)})
		if n := len(r.got); n <= len(statuses) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(statuses[n-1])
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// bodies are the bodies that the receiver got, in their order.
func (r *receiver) bodies() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, x := range r.got {
		out = append(out, x.body)
	}
	return strings.Join(out, " ")
}

func TestWhatWasMissedIsShown(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{pulls: page(false, delivered(3),
		bare(7, outboundv1.DeliveryState_SKIPPED, "filter", "not meant"),
		bare(8, outboundv1.DeliveryState_WAITING, "", "the template fails"), waiting(9))})
	got := s.Run(t, pull.Command, "pull", "crm", "--after", "0")
	want := `SEQUENCE  EVENT   TYPE       STATE      ACCEPTED              BODY
3         tux~e3  disk_full  DELIVERED  2023-11-14T22:13:20Z  7 B
7         tux~e7  disk_full  SKIPPED    2023-11-14T22:13:20Z  none: filter
8         tux~e8  disk_full  WAITING    2023-11-14T22:13:20Z  none: the template fails
9         tux~e9  disk_full  WAITING    2023-11-14T22:13:20Z  7 B
`
	notes := "numbers 1 to 2 are missing: their events are no longer stored\n" +
		"numbers 4 to 6 are missing: their events are no longer stored\npulled 4\n"
	if got.Code != exit.CodeOK || got.Out != want || got.Err != notes {
		t.Errorf("%d\n%s%s", got.Code, got.Out, got.Err)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"after=0&limit=100"}) {
		t.Error(calls)
	}
}

func TestNothingToPullIsSaid(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{pulls: page(false)})
	got := s.Run(t, pull.Command, "pull", "crm", "--acknowledge")
	if got.Code != exit.CodeOK || got.Out != "" || got.Err != "nothing to pull\n" {
		t.Errorf("%+v", got)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"limit=100"}) {
		t.Error(calls)
	}
	got = s.Run(t, pull.Command, "pull", "crm", "--after", "10")
	if got.Code != exit.CodeOK || !strings.HasPrefix(got.Err, "nothing to pull\nnumber 10 was not given yet, the last one is 9") {
		t.Errorf("%+v", got)
	}
	got = s.Run(t, pull.Command, "pull", "crm", "-o", "json")
	answer := &outboundv1.PullDeliveriesResponse{}
	if err := protojson.Unmarshal([]byte(got.Out), answer); err != nil || got.Code != exit.CodeOK || len(answer.GetDeliveries()) != 0 {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestPagesAreJoined(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		pulls: clitest.InTurn(page(true, delivered(4), waiting(5)), page(true, waiting(6)), page(false, waiting(7)))})
	got := s.Run(t, pull.Command, "pull", "crm", "--after", "3", "--limit", "0", "-o", "json")
	answer := &outboundv1.PullDeliveriesResponse{}
	if err := protojson.Unmarshal([]byte(got.Out), answer); err != nil || got.Code != exit.CodeOK || got.Err != "pulled 4\n" {
		t.Fatalf("%v: %+v", err, got)
	}
	if d := answer.GetDeliveries(); len(d) != 4 || string(d[3].GetBody()) != `{"n":7}` || answer.GetNextAfter() != 7 || answer.GetMore() ||
		answer.GetCursor() != 1 || answer.GetLast() != 9 || !strings.Contains(got.Out, `"body": "eyJuIjo3fQ=="`) {
		t.Errorf("%v\n%s", answer, got.Out)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"after=3&limit=100", "after=5&limit=100", "after=6&limit=100"}) {
		t.Error(calls)
	}
}

func TestTheLimitIsOfAllPages(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{pulls: clitest.InTurn(page(true, waiting(4), waiting(5)), page(true, waiting(6))),
		acknowledges: acknowledged(3)})
	got := s.Run(t, pull.Command, "pull", "crm", "--after", "3", "--limit", "3", "--acknowledge")
	if got.Code != exit.CodeOK || got.Err != "pulled 3, acknowledged 3 that were not final, up to number 6\n"+
		"others follow: set --limit higher, or to 0 for all\n" {
		t.Errorf("%+v", got)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"after=3&limit=3", "after=5&limit=1", "map[through:6]"}) {
		t.Error(calls)
	}
}

func TestWithoutANumberFinalDeliveriesAreLeftOutOfEveryPage(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		pulls: clitest.InTurn(page(true, waiting(3), waiting(6)), page(false, delivered(7), waiting(9)))})
	got := s.Run(t, pull.Command, "pull", "crm", "--limit", "1000")
	if got.Code != exit.CodeOK || strings.Contains(got.Out, "DELIVERED") || !strings.Contains(got.Out, "tux~e9") || got.Err != "pulled 3\n" {
		t.Errorf("%+v", got)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"limit=100", "after=6&limit=100"}) {
		t.Error(calls)
	}
}

func TestDeliveriesArePostedAsTheyAre(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		pulls: clitest.InTurn(page(true, delivered(1), bare(2, outboundv1.DeliveryState_SKIPPED, "filter", "not meant")),
			page(false, waiting(3))),
		// The first page ends nothing.
		acknowledges: clitest.InTurn(acknowledged(0), acknowledged(1)),
	})
	to := receive(t, http.StatusNoContent)
	got := s.Run(t, pull.Command, "pull", "crm", "--after", "0", "--post-to", to.URL+"/hook", "--acknowledge")
	if got.Code != exit.CodeOK || got.Err != "pulled 3, posted 2, acknowledged 1 that were not final, up to number 3\n" {
		t.Errorf("%+v", got)
	}
	if to.bodies() != `{"n":1} {"n":3}` {
		t.Error(to.bodies())
	}
	want := http.Header{"Content-Length": {"7"}, "Content-Type": {"application/json"}, "Webhook-Id": {"tux~e3"}, "Outbound-Sequence": {"3"}}
	if header := to.got[1].header; !maps.EqualFunc(header, want, slices.Equal) {
		t.Errorf("posted with %v", header)
	}
	calls := []string{"after=0&limit=20", "map[through:2]", "after=2&limit=20", "map[through:3]"}
	if got := paths(s); !slices.Equal(got, calls) {
		t.Error(got)
	}
}

func TestAReceiverThatFailsStopsThePosts(t *testing.T) {
	for status, text := range map[int]string{http.StatusServiceUnavailable: "503 Service Unavailable", http.StatusFound: "302 Found"} {
		s := clitest.Serve(t, map[string]clitest.Answer{pulls: page(true, waiting(1), waiting(2), waiting(3)), acknowledges: acknowledged(1)})
		to := receive(t, http.StatusOK, status)
		got := s.Run(t, pull.Command, "pull", "crm", "--post-to", to.URL+"/hook", "--acknowledge", "-o", "json")
		if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "post delivery 2 (event tux~e2): the receiver responded with "+text) ||
			!strings.Contains(got.Err, "pulled 3, posted 1, acknowledged 1 that were not final, up to number 1\n") {
			t.Errorf("%+v", got)
		}
		answer := &outboundv1.PullDeliveriesResponse{}
		if err := protojson.Unmarshal([]byte(got.Out), answer); err != nil || answer.GetNextAfter() != 1 || !answer.GetMore() {
			t.Errorf("%v: %v", err, answer)
		}
		if calls := paths(s); !slices.Equal(calls, []string{"limit=20", "map[through:1]"}) || to.bodies() != `{"n":1} {"n":2}` {
			t.Error(calls, to.bodies())
		}
	}
}

func TestAReceiverThatIsNotThereAcceptsNothing(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{pulls: page(false, waiting(1))})
	got := s.Run(t, pull.Command, "pull", "crm", "--post-to", "http://"+porttest.Address(t)+"/hook?password=x", "--acknowledge")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "post delivery 1 (event tux~e1): the receiver did not respond") ||
		!strings.Contains(got.Err, "pulled 1, posted 0, acknowledged none") || strings.Contains(got.Err, "password") {
		t.Errorf("%+v", got)
	}
	if calls := paths(s); len(calls) != 1 {
		t.Error(calls)
	}
}

func TestWhatNobodyHasIsNotAcknowledged(t *testing.T) {
	answers := map[string]clitest.Answer{pulls: page(false, waiting(1),
		bare(2, outboundv1.DeliveryState_RETRYING, "render", "the template fails"), waiting(3)), acknowledges: acknowledged(1)}
	s := clitest.Serve(t, answers)
	got := s.Run(t, pull.Command, "pull", "crm", "--acknowledge")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Out, "tux~e3") ||
		!strings.Contains(got.Err, "delivery 2 (event tux~e2) has no body and is not acknowledged: the template fails") {
		t.Errorf("%+v", got)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"limit=100", "map[through:1]"}) {
		t.Error(calls)
	}
	to := receive(t)
	got = clitest.Serve(t, answers).Run(t, pull.Command, "pull", "crm", "--post-to", to.URL+"/hook")
	if got.Code != exit.CodeOK || to.bodies() != `{"n":1} {"n":3}` || got.Err != "pulled 3, posted 2\n" {
		t.Errorf("%+v", got)
	}
}

func TestRefusalsEndAPull(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		pulls: clitest.InTurn(page(true, waiting(1)), clitest.Refusal(codes.Unavailable, "no http-sender is available"))})
	got := s.Run(t, pull.Command, "pull", "crm", "--after", "0", "--acknowledge")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Out, "tux~e1") || !strings.Contains(got.Err, "no http-sender") ||
		len(paths(s)) != 2 {
		t.Errorf("%+v", got)
	}
	got = s.Run(t, pull.Command, "pull", "crm")
	if got.Code != exit.CodeFailed || got.Out != "" || got.Err != "outbound: no http-sender is available\n" {
		t.Errorf("%+v", got)
	}
	s = clitest.Serve(t, map[string]clitest.Answer{pulls: page(false, waiting(1)),
		acknowledges: clitest.Refusal(codes.Unavailable, "repeat the call")})
	got = s.Run(t, pull.Command, "pull", "crm", "--acknowledge")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Out, "tux~e1") ||
		!strings.Contains(got.Err, "acknowledge up to number 1: repeat the call") {
		t.Errorf("%+v", got)
	}
	s = clitest.Serve(t, map[string]clitest.Answer{pulls: page(true, waiting(1))})
	got = s.Run(t, pull.Command, "pull", "crm", "--after", "0", "--limit", "0")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "others follow behind number 1, but not where") || len(paths(s)) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"pull": "needs RECIPIENT", "pull crm --limit -1": "--limit must not be negative", "pull crm --after -1": "--after",
		"pull crm --post-to ftp://x": "--post-to", "pull crm --post-to http://": "--post-to",
	} {
		s := clitest.Serve(t, nil)
		if got := s.Run(t, pull.Command, strings.Fields(args)...); got.Code == exit.CodeOK || !strings.Contains(got.Err, want) ||
			len(paths(s)) > 0 {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestAnInterruptAcknowledgesWhatWasAccepted(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{pulls: page(false, waiting(1), waiting(2)), acknowledges: acknowledged(1)})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	to := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		if _, err := io.Copy(io.Discard, in.Body); err != nil {
			t.Error(err)
		}
		if in.Header.Get("Outbound-Sequence") == "2" {
			interrupt()
			<-in.Context().Done()
		}
	}))
	t.Cleanup(to.Close)
	got := s.RunContext(ctx, pull.Command, "pull", "crm", "--post-to", to.URL, "--acknowledge")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "post delivery 2") ||
		!strings.Contains(got.Err, "posted 1, acknowledged 1 that were not final, up to number 1") {
		t.Errorf("%+v", got)
	}
	if calls := paths(s); !slices.Equal(calls, []string{"limit=20", "map[through:1]"}) {
		t.Error(calls)
	}
}
