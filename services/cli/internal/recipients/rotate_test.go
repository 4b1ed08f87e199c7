package recipients_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func TestRotateSecretAsksForTheOverlap(t *testing.T) {
	private := file(t, "whsk_x\n")
	for args, want := range map[string]map[string]any{
		"":                                 {"overlap": "86400s"},
		"--overlap 0s":                     {"overlap": "0s"},
		"--overlap 2d":                     {"overlap": "172800s"},
		"--ed25519 --etag 7":               {"overlap": "86400s", "kind": "ED25519", "etag": "7"},
		"--signing-secret-file " + private: {"overlap": "86400s", "kind": "ED25519", "secret": "whsk_x"},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients/crm:rotateSecret": clitest.JSON(`{"id":"crm","http":
			{"signingSecrets":[{"id":"ss-1","expireTime":"2026-11-22T10:00:00Z"},{"id":"ss-2","secret":"whsec_new"}]}}`)})
		got := run(t, s, append([]string{"rotate-secret", "crm"}, strings.Fields(args)...)...)
		body := sent(t, s, http.MethodPost)
		for key, value := range want {
			if body[key] != value {
				t.Errorf("%q: sent %v, want %v", args, body, want)
			}
		}
		for _, text := range []string{"whsec_new", "ss-1 signs on until 2026-11-22T10:00:00Z"} {
			if got.Code != exit.CodeOK || len(body) != len(want) || !strings.Contains(got.Out, text) {
				t.Errorf("%q: no %q in %+v", args, text, got)
			}
		}
	}
	refused := clitest.Refusal(codes.FailedPrecondition, "no secret")
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients/crm:rotateSecret": refused})
	if got := run(t, s, "rotate-secret", "crm"); got.Code != exit.CodeFailed || !strings.Contains(got.Err, "no secret") {
		t.Errorf("got %+v", got)
	}
	if got := run(t, s, "rotate-secret", "crm", "--overlap", "soon"); got.Code == exit.CodeOK || !strings.Contains(got.Err, "24h") {
		t.Errorf("got %+v", got)
	}
}

func TestAnUpdateDoesNotDropASigningSecretByAccident(t *testing.T) {
	stored := `{"id":"crm","etag":"7","http":{"signingSecrets":[{"id":"ss-1"}]}}`
	own, bare := file(t, "whsec_x\n"), `{"id":"crm","etag":"7","http":{}}`
	kept, dropped := file(t, `{"http": {"signingSecrets": [{"id": "ss-1", "expireTime": "2030-01-01T00:00:00Z"}, {}]}}`),
		file(t, `{"http": {"signingSecrets": []}}`)
	for _, c := range []struct {
		args, stored string
		refused      bool
	}{
		{"--sign", stored, true},
		{"--sign-ed25519", stored, true},
		{"--signing-secret-file " + own, stored, true},
		{"-f " + dropped, stored, true},
		{"-f " + kept, stored, false},
		{"--sign", bare, false},
		{"--sign --replace-secrets", stored, false},
		{"--retry-interval 1m", stored, false},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/recipients/crm": clitest.JSON(c.stored),
			"PATCH /v1/recipients/crm": clitest.JSON(stored)})
		got := run(t, s, append([]string{"update", "crm"}, strings.Fields(c.args)...)...)
		n := len(s.Calls(http.MethodPatch))
		if c.refused && (n != 0 || got.Code != exit.CodeUsage || !strings.Contains(got.Err, "rotate-secret crm") ||
			!strings.Contains(got.Err, "--replace-secrets")) {
			t.Errorf("%s: %d changes, %+v", c.args, n, got)
		}
		if !c.refused && (n != 1 || got.Code != exit.CodeOK) {
			t.Errorf("%s: %d changes, %+v", c.args, n, got)
		}
	}
	// What was read is what is changed.
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/recipients/crm": clitest.JSON(bare),
		"PATCH /v1/recipients/crm": clitest.JSON(bare)})
	run(t, s, "update", "crm", "--sign")
	if body := sent(t, s, http.MethodPatch); body["etag"] != "7" {
		t.Errorf("sent %v", body)
	}
}
