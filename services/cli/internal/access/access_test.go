package access_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/outbound-events/outbound/pkg/golden"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/access"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// of is the command that args begin with.
func of(args []string) func(*command.Env) *cobra.Command {
	switch args[0] {
	case "users":
		return access.UsersCommand
	case "tokens":
		return access.TokensCommand
	default:
		return access.WhoamiCommand
	}
}

func password(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandsCallTheServer(t *testing.T) {
	file := password(t)
	olga := clitest.JSON(`{"name":"olga","role":"ADMIN"}`)
	answers := map[string]clitest.Answer{
		"GET /v1/self": clitest.JSON(`{"name":"eva","role":"OPERATOR"}`),
		"GET /v1/users": clitest.JSON(`{"users":[{"name":"olga","displayName":"Olga","role":"ADMIN",
			"passwordTime":"2026-11-21T10:00:00Z"},{"name":"ben","role":"VIEWER","disabled":true}]}`),
		"POST /v1/users": olga, "PATCH /v1/users/olga": olga, "DELETE /v1/users/olga": clitest.JSON("{}"),
		"GET /v1/tokens": clitest.JSON(`{"tokens":[{"id":"t-1","displayName":"CI","role":"OPERATOR",
			"createTime":"2026-11-21T10:00:00Z","creator":"eva"},{"id":"t-2","displayName":"tickets","role":"RECEIVER",
			"recipientId":"ticket-system","createTime":"2026-11-21T10:00:00Z","creator":"eva"}]}`),
		"POST /v1/tokens": func(r *http.Request) (int, string) {
			t := &outboundv1.Token{}
			if body, err := io.ReadAll(r.Body); err != nil || protojson.Unmarshal(body, t) != nil {
				return http.StatusBadRequest, "{}"
			}
			t.Id = "t-1"
			return clitest.Message(&outboundv1.CreateTokenResponse{Token: t, Secret: "obt_x"})(r)
		},
		"DELETE /v1/tokens/t%2F": clitest.JSON("{}"),
	}
	for name, c := range map[string]struct{ args, path, body string }{
		"whoami.txt":  {"whoami", "/v1/self", ""},
		"whoami.json": {"whoami -o json", "/v1/self", ""},
		"users.txt":   {"users list", "/v1/users", ""},
		"user-create.txt": {"users create olga --role admin --name Olga --disabled --password-file " + file, "/v1/users",
			`{"name":"olga","displayName":"Olga","role":"ADMIN","disabled":true,"password":"s3cret"}`},
		"user-oidc.txt": {"users create olga --no-password", "/v1/users", `{"name":"olga","role":"VIEWER"}`},
		"user-update.json": {"users update olga --name Olga -o json", "/v1/users/olga?updateMask=displayName",
			`{"name":"olga","displayName":"Olga","role":"VIEWER"}`},
		"user-password.txt": {"users update olga --password-file -", "/v1/users/olga?updateMask=password",
			`{"name":"olga","role":"VIEWER","password":"typed"}`},
		"user-unlink.txt": {"users update olga --unlink", "/v1/users/olga?updateMask=openidIssuer%2CopenidSubject",
			`{"name":"olga","role":"VIEWER"}`},
		"user-delete.txt":  {"users delete olga --yes", "/v1/users/olga", ""},
		"tokens.txt":       {"tokens list", "/v1/tokens", ""},
		"token-create.txt": {"tokens create CI --role Operator", "/v1/tokens", `{"displayName":"CI","role":"OPERATOR"}`},
		"token-receiver.txt": {"tokens create tickets --role receiver --recipient ticket-system", "/v1/tokens",
			`{"displayName":"tickets","role":"RECEIVER","recipientId":"ticket-system"}`},
		"token-delete.txt": {"tokens delete t/ --yes", "/v1/tokens/t%2F", ""},
	} {
		s := clitest.Serve(t, answers)
		s.In = "typed\n"
		args := strings.Fields(c.args)
		got := s.Run(t, of(args), args...)
		call := s.Calls("")[0]
		if got.Code != exit.CodeOK || call.Path != c.path {
			t.Errorf("%s: called %v, %+v", name, call, got)
		}
		var sent, want any
		if c.body != "" && (json.Unmarshal([]byte(call.Body), &sent) != nil || json.Unmarshal([]byte(c.body), &want) != nil ||
			!reflect.DeepEqual(sent, want)) {
			t.Errorf("%s: sent %s, want %s", name, call.Body, c.body)
		}
		golden.Check(t, name, []byte(got.Out))
	}
}

func TestAnUpdateNamesWhatFlagsChange(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"PATCH /v1/users/olga": clitest.JSON("{}")})
	s.Run(t, access.UsersCommand, "users", "update", "olga", "--role", "operator", "--name", "", "--disabled=false",
		"--password-file", password(t))
	_, mask, _ := strings.Cut(s.Calls("")[0].Path, "updateMask=")
	paths := strings.Split(mask, "%2C")
	if slices.Sort(paths); !slices.Equal(paths, []string{"disabled", "displayName", "password", "role"}) {
		t.Errorf("changed %q", paths)
	}
}

func TestATokenEnds(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/tokens": clitest.JSON("{}")})
	before := time.Now()
	s.Run(t, access.TokensCommand, "tokens", "create", "CI", "--expires-in", "24h")
	var sent struct{ ExpireTime time.Time }
	if err := json.Unmarshal([]byte(s.Calls("")[0].Body), &sent); err != nil || sent.ExpireTime.Before(before.Add(24*time.Hour)) {
		t.Errorf("%v: sent %s", err, s.Calls("")[0].Body)
	}
}

func TestWhatIsWrongIsSaidBeforeTheServerIsCalled(t *testing.T) {
	for _, line := range []string{
		"users create", "users create olga --role boss --no-password", "users create olga",
		"users create olga --password-file /none/at/all", "users update olga", "users update olga --role boss",
		"users update olga --unlink --openid-issuer https://a.example",
		"users create olga --role receiver --no-password", "users update olga --role receiver",
		"users update olga --password", "tokens create CI --role boss", "tokens create", "whoami x",
	} {
		s := clitest.Serve(t, nil)
		args := strings.Fields(line)
		if got := s.Run(t, of(args), args...); got.Code != exit.CodeUsage || len(s.Calls("")) > 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestARefusalEndsACommand(t *testing.T) {
	refused := clitest.Refusal(codes.PermissionDenied, "viewers only read")
	for path, line := range map[string]string{
		"GET /v1/self": "whoami", "GET /v1/users": "users list", "POST /v1/users": "users create olga --no-password",
		"PATCH /v1/users/olga":  "users update olga --role admin",
		"DELETE /v1/users/olga": "users delete olga --yes", "GET /v1/tokens": "tokens list", "POST /v1/tokens": "tokens create CI",
		"DELETE /v1/tokens/t-1": "tokens delete t-1 --yes",
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{path: refused})
		args := strings.Fields(line)
		if got := s.Run(t, of(args), args...); got.Code != exit.CodeFailed || got.Out != "" || !strings.Contains(got.Err, "viewers only read") {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestARefusedRecipientIsNamedByItsFlag(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		"POST /v1/tokens": clitest.Refusal(codes.InvalidArgument, "1 field is not valid", "recipientId:is empty: set the HTTP recipient"),
	})
	got := s.Run(t, access.TokensCommand, "tokens", "create", "tickets", "--role", "receiver")
	if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "--recipient: is empty") {
		t.Errorf("%+v", got)
	}
}
