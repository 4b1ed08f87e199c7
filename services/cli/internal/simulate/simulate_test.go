package simulate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/simulate"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// played is an event that was published.
type played struct {
	ID, Source, Type, Subject string
	Data                      map[string]any
}

// server has two custom fields and answers events.
func server(t *testing.T, answer clitest.Answer) *clitest.Server {
	t.Helper()
	return clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/custom-fields": clitest.JSON(`{"customFields":[{"codeName":"region"},{"codeName":"desk"}]}`), "POST /v1/events": answer,
	})
}

func events(t *testing.T, s *clitest.Server) []played {
	t.Helper()
	var out []played
	for _, c := range s.Calls(http.MethodPost) {
		var e played
		if err := json.Unmarshal([]byte(c.Body), &e); err != nil {
			t.Fatalf("%v: %s", err, c.Body)
		}
		out = append(out, e)
	}
	return out
}

func TestAnAppliancePlaysOneSessionAfterAnother(t *testing.T) {
	s := server(t, clitest.JSON("{}"))
	got := s.Run(t, simulate.Command, "simulate", "--appliances", "1", "--events", "14", "--rate", "1000", "--prefix", "box-")
	if got.Code != exit.CodeOK || !strings.HasPrefix(got.Out, "14 ") {
		t.Fatalf("got %+v", got)
	}
	known := map[string][]event.TypeVariable{}
	for _, x := range event.Catalogue() {
		known[x.ID] = x.Variables
	}
	all := events(t, s)
	ids := map[string]bool{}
	for i, e := range all {
		variables, ok := known[e.Type]
		if ids[e.ID] = true; !ok || e.Source != "box-1" || e.Subject == "" || e.Type != all[i%7].Type {
			t.Errorf("event %d is %+v", i, e)
		}
		if (i%7 > 0) != (i > 0 && e.Subject == all[i-1].Subject) {
			t.Errorf("event %d is of session %s, and the one before of another", i, e.Subject)
		}
		for _, v := range variables {
			if e.Data[v.Name] == nil {
				t.Errorf("event %d of type %s has no %s", i, e.Type, v.Name)
			}
		}
		custom, ok := e.Data["custom_fields"].(map[string]any)
		if !ok || custom["region"] == "" || custom["desk"] == "" {
			t.Errorf("event %d has the custom fields %v", i, e.Data["custom_fields"])
		}
	}
	if len(ids) != 14 || all[0].Type != "support_conference_begin" || all[0].Data["external_key"] != nil ||
		all[6].Data["external_key"] == nil {
		t.Errorf("%d ids, first %+v, last %+v", len(ids), all[0], all[6])
	}
}

func TestAppliancesPlayAtOnce(t *testing.T) {
	s := server(t, clitest.JSON("{}"))
	got := s.Run(t, simulate.Command, "simulate", "--appliances", "3", "--events", "30", "--rate", "1000", "-o", "json")
	var sum struct{ Accepted, Refused, Failed int }
	if err := json.Unmarshal([]byte(got.Out), &sum); err != nil || sum.Accepted != 30 || sum.Refused+sum.Failed != 0 {
		t.Errorf("%v: %+v", err, got)
	}
	for _, e := range events(t, s) {
		if !slices.Contains([]string{"sim-1", "sim-2", "sim-3"}, e.Source) {
			t.Errorf("an event of %s", e.Source)
		}
	}
}

func TestWhatIsNotAcceptedIsCounted(t *testing.T) {
	refused := clitest.Refusal(codes.InvalidArgument, "m", "type:is not known")
	broken := func(*http.Request) (int, string) { return http.StatusOK, "no JSON" }
	for name, c := range map[string]struct {
		answer clitest.Answer
		want   string
		code   int
		says   string
	}{
		"some": {clitest.InTurn(refused, broken, clitest.JSON("{}")), "3 accepted, 1 refused, 1 failed", exit.CodeOK, ""},
		"none": {refused, "0 accepted, 5 refused, 0 failed", exit.CodeFailed, "is not known"},
	} {
		got := server(t, c.answer).Run(t, simulate.Command, "simulate", "--appliances", "1", "--events", "5", "--rate", "1000", "-o", "json")
		var sum struct{ Accepted, Refused, Failed int }
		err := json.Unmarshal([]byte(got.Out), &sum)
		if said := fmt.Sprintf("%d accepted, %d refused, %d failed", sum.Accepted, sum.Refused, sum.Failed); err != nil ||
			said != c.want || got.Code != c.code || !strings.Contains(got.Err, c.says) || got.Err == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestItEndsWhenInterruptedOrAfterItsDuration(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := server(t, func(*http.Request) (int, string) {
		cancel()
		return http.StatusOK, "{}"
	})
	if got := s.RunContext(ctx, simulate.Command, "simulate", "--rate", "1000"); got.Code != exit.CodeOK ||
		len(s.Calls(http.MethodPost)) == 0 {
		t.Errorf("interrupted: %+v", got)
	}
	if got := server(t, clitest.JSON("{}")).Run(t, simulate.Command, "simulate", "--duration", "50ms"); got.Code != exit.CodeOK ||
		got.Out == "" {
		t.Errorf("with a duration: %+v", got)
	}
}

func TestWhatIsWrongIsSaidBeforeAnythingIsPlayed(t *testing.T) {
	for _, args := range []string{"--appliances 0", "--appliances 1001", "--rate 0", "--rate 100001", "--events -1",
		"--duration -1s", "surplus"} {
		s := clitest.Serve(t, nil)
		if got := s.Run(t, simulate.Command, append([]string{"simulate"}, strings.Fields(args)...)...); got.Code != exit.CodeUsage ||
			len(s.Calls("")) > 0 {
			t.Errorf("%s: %+v", args, got)
		}
	}
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/custom-fields": clitest.Refusal(codes.Unavailable, "away")})
	if got := s.Run(t, simulate.Command, "simulate"); got.Code != exit.CodeFailed || got.Out != "" {
		t.Errorf("without custom fields: %+v", got)
	}
}
