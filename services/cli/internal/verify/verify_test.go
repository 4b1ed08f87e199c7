package verify_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/verify"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

const (
	whole = `{"result":{"records":"20000","sequence":"20000"}}
{"result":{"records":"24","sequence":"24","result":{"records":"24","chainedRecords":"24","coveredRecords":"20","firstSequence":"1",` +
		`"lastSequence":"24","firstCoveredSequence":"1","lastCoveredSequence":"20","checkpoints":"2","headNumber":"2","headHash":"abc",` +
		`"headTime":"2026-11-29T22:00:00Z","notes":["a note"]}}}
`
	broken = `{"result":{"records":"3","sequence":"4","result":{"records":"3","firstSequence":"1","lastSequence":"4","omittedFaults":"5","faults":[` +
		`{"kind":"REMOVED","sequence":"2","lastSequence":"2","record":"RETRYING","recipientId":"crm","eventId":"tux~e1","text":"it is missing"},` +
		`{"kind":"INSERTED","sequence":"3","lastSequence":"3","record":"ACCEPTED","eventId":"tux~e2","text":"it was not there"},` +
		`{"kind":"REORDERED","sequence":"5","lastSequence":"9","text":"they stood at 6 to 10"},` +
		`{"kind":"REMOVED","checkpoint":"7","text":"it is not there"},{"kind":"CHANGED","text":"a segment can't be read"}]}}}
`
)

func TestAVerificationNamesWhatIsWrong(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries:verify": clitest.JSON(whole)})
	got := s.Run(t, verify.Command, "verify", "--since", "24h", "--head", "2:abc")
	if got.Code != exit.CodeOK || !strings.Contains(got.Out, "24 records, 1 to 24; 24 in chains") ||
		!strings.Contains(got.Out, "20 records are covered by 2 checkpoints, 1 to 20; head 2:abc") ||
		!strings.Contains(got.Out, "note: a note") || !strings.Contains(got.Out, "no record was removed or changed") {
		t.Errorf("%+v", got)
	}
	path := s.Calls(http.MethodGet)[0].Path
	if !strings.Contains(path, "headNumber=2") || !strings.Contains(path, "headHash=abc") || !strings.Contains(path, "since=20") {
		t.Error(path)
	}
	s = clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries:verify": clitest.JSON(broken)})
	got = s.Run(t, verify.Command, "verify")
	for _, want := range []string{
		"REMOVED   2: RETRYING of crm/tux~e1: it is missing", "INSERTED  3: ACCEPTED of tux~e2: it was not there",
		"REORDERED 5-9: they stood at 6 to 10", "REMOVED   checkpoint 7: it is not there", "CHANGED   checkpoints: a segment can't be read",
		"5 more faults are not listed",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("it does not say %q:\n%s", want, got.Out)
		}
	}
	if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "faults (10)") {
		t.Errorf("%+v", got)
	}
	if got := s.Run(t, verify.Command, "verify", "-o", "json"); got.Code != exit.CodeFailed || !json.Valid([]byte(got.Out)) {
		t.Errorf("%+v", got)
	}
	s = clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries:verify": clitest.JSON(`{"result":{"records":"1"}}` + "\n")})
	if got := s.Run(t, verify.Command, "verify"); got.Code != exit.CodeFailed || !strings.Contains(got.Err, "ended early") {
		t.Errorf("%+v", got)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	s := clitest.Serve(t, nil)
	for args, want := range map[string]string{
		"--head 7":               `--head "7" is not NUMBER:HASH`,
		"--since yesterday":      "--since",
		"--key x":                "give it with --receipt",
		"--receipt x":            "needs --key",
		"--receipt x --key nope": "neither a verifier key",
	} {
		if got := s.Run(t, verify.Command, append([]string{"verify"}, strings.Fields(args)...)...); got.Code != exit.CodeUsage ||
			!strings.Contains(got.Err, want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := s.Run(t, verify.ProveCommand, "prove", "crm"); got.Code != exit.CodeUsage || !strings.Contains(got.Err, "RECIPIENT/EVENT") {
		t.Errorf("%+v", got)
	}
}

// receipt is a receipt of one record of crm/tux~e1, and the key of its log.
func receipt(t *testing.T) (text, key string) {
	t.Helper()
	raw, err := tlog.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := tlog.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	p := tlog.Proven{Sequence: 2, Stored: time.Unix(1_700_000_000, 0).UTC(), Data: `{"state":"DELIVERED"}`,
		Subject: "outbound.history.attempt.crm.DELIVERED.audio.-.-.tux.e1", Headers: map[string][]string{"Nats-Msg-Id": {"x"}}}
	e := tlog.Entry{Sequence: p.Sequence, Stored: p.Stored, Subject: p.Subject, Digest: chain.DigestOf(p.Subject, p.Headers, []byte(p.Data))}
	signed, err := keys.Sign(tlog.Checkpoint{Size: 1, Root: e.Hash(), Number: 1, Time: p.Stored})
	if err != nil {
		t.Fatal(err)
	}
	p.Checkpoint = string(signed)
	out, err := json.Marshal(tlog.Receipt{Format: tlog.ReceiptFormat, Recipient: "crm", Event: "tux~e1", Records: []tlog.Proven{p}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out), keys.Public()
}

func TestAReceiptIsWrittenAndVerifiedWithoutTheServer(t *testing.T) {
	text, key := receipt(t)
	answer, err := json.Marshal(map[string]string{"receipt": text})
	if err != nil {
		t.Fatal(err)
	}
	s := clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/deliveries/crm/tux~e1:prove": clitest.JSON(string(answer)),
		"GET /v1/deliveries:checkpointKey":    clitest.JSON(`{"key":"` + key + `"}`),
	})
	dir := t.TempDir()
	file, keyFile := filepath.Join(dir, "receipt.json"), filepath.Join(dir, "vkey")
	if got := s.Run(t, verify.ProveCommand, "prove", "crm/tux~e1", "-f", file); got.Code != exit.CodeOK {
		t.Fatalf("%+v", got)
	}
	if got := s.Run(t, verify.ProveCommand, "prove", "crm/tux~e1", "-f", file); got.Code != exit.CodeFailed {
		t.Errorf("a file is overwritten: %+v", got)
	}
	shown := s.Run(t, verify.Command, "verify", "--show-key")
	if shown.Out != key+"\n" {
		t.Errorf("%+v", shown)
	}
	if err := os.WriteFile(keyFile, []byte("# of the operator\n"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := len(s.Calls(http.MethodGet))
	for _, with := range []string{key, keyFile} {
		got := s.Run(t, verify.Command, "verify", "--receipt", file, "--key", with)
		if got.Code != exit.CodeOK || !strings.Contains(got.Out, "the receipt verifies: 1 records of crm/tux~e1") {
			t.Errorf("%+v", got)
		}
	}
	if got := s.Run(t, verify.Command, "verify", "--receipt", file, "--key", key, "-o", "json"); !json.Valid([]byte(got.Out)) {
		t.Errorf("%+v", got)
	}
	for what, change := range map[string][2]string{
		"another record":    {`DELIVERED\"`, `EXPIRED\"`},
		"another recipient": {`"recipient":"crm"`, `"recipient":"desk"`},
		"another event":     {`"event":"tux~e1"`, `"event":"tux~e2"`},
		"no format":         {tlog.ReceiptFormat, "x"},
	} {
		changed := strings.Replace(text, change[0], change[1], 1)
		if changed == text {
			t.Fatalf("%s: nothing was changed in %s", what, text)
		}
		s.In = changed
		if got := s.Run(t, verify.Command, "verify", "--receipt", "-", "--key", key); got.Code != exit.CodeFailed ||
			!strings.Contains(got.Err, "does not verify") {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if len(s.Calls(http.MethodGet)) != asked {
		t.Error("the server was asked")
	}
}
