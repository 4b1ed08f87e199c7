package recipients_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func TestMaintenanceWindowsAreWrittenInALine(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"PATCH /v1/recipients/crm": clitest.JSON(crm)})
	got := run(t, s, "update", "crm", "--maintenance-window", "Sat,Sun 22:00 6h Europe/Berlin drain=20",
		"--maintenance-window", "2026-10-25T02:30 2026-10-25T02:30 Europe/Berlin")
	want := map[string]any{"maintenanceWindows": []any{
		map[string]any{"timeZone": "Europe/Berlin", "drainRate": float64(20), "weekly": map[string]any{"days": []any{"SATURDAY", "SUNDAY"},
			"start": "22:00", "duration": "21600s"}},
		map[string]any{"timeZone": "Europe/Berlin", "once": map[string]any{"startTime": "2026-10-25T00:30:00Z",
			"endTime": "2026-10-25T01:30:00Z"}},
	}}
	if diff := cmp.Diff(want, sent(t, s, http.MethodPatch)); diff != "" || got.Code != exit.CodeOK {
		t.Errorf("%+v\n%s", got, diff)
	}
	s = clitest.Serve(t, map[string]clitest.Answer{"PATCH /v1/recipients/crm": clitest.JSON(crm)})
	run(t, s, "update", "crm", "--maintenance-window", "none")
	if path := s.Calls("")[0].Path; !strings.Contains(path, "updateMask=maintenance") {
		t.Errorf("removing all windows calls %s", path)
	}
	for line, want := range map[string]string{
		"Sat 22:00 6h Mars/Olympus": `--maintenance-window: "Mars/Olympus" is not a time zone`,
		"22:00 6h UTC":              `--maintenance-window: "22:00" is not a time`,
	} {
		if got := run(t, s, "update", "crm", "--maintenance-window", line); got.Code != exit.CodeUsage || !strings.Contains(got.Err, want) {
			t.Errorf("%q: %+v, want %s", line, got, want)
		}
	}
}

func TestDisableSaysWhatHappensToEvents(t *testing.T) {
	for args, want := range map[string]struct{ path, body, says string }{
		"--hold": {"/v1/recipients/crm?updateMask=enabled%2Cwhile_disabled", `{"enabled":false,"whileDisabled":"HOLD"}`, "events are held"},
		"--skip": {"/v1/recipients/crm?updateMask=enabled%2Cwhile_disabled", `{"enabled":false,"whileDisabled":"SKIP"}`, "events are skipped"},
	} {
		saved := strings.Replace(crm, `"enabled":true`, want.body[1:len(want.body)-1], 1)
		s := clitest.Serve(t, map[string]clitest.Answer{"PATCH /v1/recipients/crm": clitest.JSON(saved)})
		got := run(t, s, "disable", "crm", args)
		call := s.Calls("")[0]
		if call.Path != want.path || strings.ReplaceAll(call.Body, " ", "") != want.body ||
			!strings.Contains(got.Out, want.says) {
			t.Errorf("%s: called %s with %s, said %+v", args, call.Path, call.Body, got)
		}
	}
	s := clitest.Serve(t, nil)
	if got := run(t, s, "disable", "crm", "--hold", "--skip"); got.Code == exit.CodeOK || len(s.Calls("")) > 0 {
		t.Errorf("both at once: %+v", got)
	}
}

func TestBackfillTakesWhatWasSkipped(t *testing.T) {
	status := func(r string) clitest.Answer { return clitest.JSON(`{"recipients":[` + r + `]}`) }
	s := clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/status": status(`{"recipientId":"crm","health":"OK","skippedEvents":"3","skippedSinceTime":"2026-11-21T10:00:00Z",
			"skippedUntilTime":"2026-11-21T11:00:00Z"}`),
		"POST /v1/replays": clitest.JSON(`{"id":"r1"}`),
	})
	got := run(t, s, "backfill", "crm", "--rate", "5")
	var body map[string]any
	_ = json.Unmarshal([]byte(s.Calls(http.MethodPost)[0].Body), &body)
	want := map[string]any{"toRecipientId": "crm", "rate": float64(5), "backfill": map[string]any{"startTime": "2026-11-21T10:00:00Z",
		"endTime": "2026-11-21T11:00:00Z"}}
	if diff := cmp.Diff(want, body); diff != "" || !strings.Contains(got.Out, "replays get r1") {
		t.Errorf("%+v\n%s", got, diff)
	}
	for answer, want := range map[string]string{
		`{"recipientId":"crm","health":"OK"}`:                                                 "nothing was skipped",
		`{"recipientId":"crm","health":"DISABLED","skippedSinceTime":"2026-11-21T10:00:00Z"}`: "enable it first",
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/status": status(answer)})
		if got := run(t, s, "backfill", "crm"); got.Code == exit.CodeOK || !strings.Contains(got.Err, want) {
			t.Errorf("%s: %+v", answer, got)
		}
	}
}

func TestProbeSaysWhatIsAttempted(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients/crm:probe": clitest.JSON(`{"breakerOpen":true,
		"delivery":{"recipientId":"crm","eventId":"a1~e-1"}}`)})
	got := run(t, s, "probe", "crm", "--during-maintenance")
	if got.Code != exit.CodeOK || !strings.Contains(got.Out, "probing now") || !strings.Contains(got.Out, "deliveries get crm/a1~e-1") {
		t.Errorf("%+v", got)
	}
	if body := sent(t, s, http.MethodPost); body["duringMaintenance"] != true {
		t.Errorf("it sent %v", body)
	}
}

func TestDisableAsksOnATerminal(t *testing.T) {
	for answer, want := range map[string]string{"hold\n": `"HOLD"`, "s\n": `"SKIP"`, "\n": `"SKIP"`, "perhaps\n": ""} {
		stored := strings.Replace(crm, `"enabled":true`, `"enabled":true,"whileDisabled":"SKIP"`, 1)
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/recipients/crm": clitest.JSON(stored),
			"PATCH /v1/recipients/crm": clitest.JSON(stored)})
		s.InTerminal, s.In = true, answer
		got := run(t, s, "disable", "crm")
		calls := s.Calls(http.MethodPatch)
		if !strings.Contains(got.Err, "hold or skip (default skip)") || (len(calls) == 1) != (want != "") ||
			len(calls) == 1 && !strings.Contains(calls[0].Body, want) {
			t.Errorf("%q: %+v, %v", answer, got, calls)
		}
	}
}
