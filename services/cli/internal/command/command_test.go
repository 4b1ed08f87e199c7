package command_test

import (
	"context"
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
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// things is a group of commands as others build them.
func things(env *command.Env) *cobra.Command {
	var recipient, appliance, kind, color string
	get := &cobra.Command{
		Use: "get RECIPIENT", Short: "Get a thing", Args: command.Arguments("RECIPIENT"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			env.Say("got %s", args[0])
			return c.Call(ctx, http.MethodGet, "/v1/things/"+args[0], nil, nil)
		}),
	}
	get.Flags().StringVar(&recipient, "recipient", "", "")
	get.Flags().StringVar(&appliance, "appliance", "", "")
	get.Flags().StringVar(&kind, "type", "", "")
	get.Flags().StringVar(&color, "color", "", "")
	env.CompleteFlags(get, map[string]command.Completion{"color": command.Words("red", "green")})
	run := func(*cobra.Command, []string) error { return nil }
	return command.Group("things", "Manage things", get,
		&cobra.Command{Use: "set CODE_NAME", RunE: run}, &cobra.Command{Use: "send [RECIPIENT/EVENT]...", RunE: run},
		&cobra.Command{Use: "rotate APPLIANCE", RunE: run}, &cobra.Command{Use: "show RECIPIENT/EVENT", RunE: run},
		&cobra.Command{Use: "try EXPRESSION", RunE: run}, &cobra.Command{Use: "add EVENT_TYPE", RunE: run})
}

func TestACommandIsCalledAsItsUsageSays(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/things/a": clitest.JSON("{}"), "GET /v1/things/b": clitest.Refusal(codes.NotFound, "no such thing"),
		"GET /v1/things/cmr": clitest.Refusal(codes.NotFound, "no such thing"),
		"GET /v1/recipients": clitest.JSON(`{"recipients":[{"id":"crm","displayName":"The CRM"}]}`),
	})
	for args, want := range map[string]struct {
		code int
		err  string
	}{
		"things get a":         {exit.CodeOK, ""},
		"things get b":         {exit.CodeNotFound, "no such thing"},
		"things get cmr":       {exit.CodeNotFound, `no such thing, did you mean "crm"`},
		"things get":           {exit.CodeUsage, "RECIPIENT"},
		"things get a b":       {exit.CodeUsage, `"b"`},
		"things gte a":         {exit.CodeUsage, `"get"`},
		"things xyz":           {exit.CodeUsage, `"xyz"`},
		"things get a -o html": {exit.CodeUsage, `"html"`},
		"things":               {exit.CodeOK, ""},
	} {
		got := s.Run(t, things, strings.Fields(args)...)
		if got.Code != want.code || !strings.Contains(got.Err, want.err) {
			t.Errorf("%s: exit %d, %s", args, got.Code, got.Err)
		}
	}
	s.Env["OUTBOUND_TOKEN"] = ""
	if got := s.Run(t, things, "things", "get", "a"); got.Code != exit.CodeUsage || got.Out != "" {
		t.Errorf("without a token: %+v", got)
	}
}

func TestCompletionsComeFromTheServer(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/recipients":    clitest.JSON(`{"recipients":[{"id":"crm","displayName":"The\u001b CRM"},{"id":"desk","displayName":"desk"}]}`),
		"GET /v1/appliances":    clitest.JSON(`{"appliances":[{"id":"a1","displayName":"Support"}]}`),
		"GET /v1/event-types":   clitest.JSON(`{"eventTypes":[{"id":"session_end"}]}`),
		"GET /v1/custom-fields": clitest.JSON(`{"customFields":[{"codeName":"region","displayName":"Region"}]}`),
	})
	for begun, want := range map[string][]string{
		"get ":             {"crm\tThe? CRM", "desk", ":4"},
		"get d":            {"desk", ":4"},
		"get crm ":         {":4"},
		"get --recipient ": {"crm\tThe? CRM", "desk", ":4"},
		"get --appliance ": {"a1\tSupport", ":4"},
		"get --type ":      {"session_end", ":4"},
		"get --color g":    {"green", ":4"},
		"rotate ":          {"a1\tSupport", ":4"},
		"add ":             {"session_end", ":4"},
		"set ":             {"region\tRegion", ":4"},
		"send ":            {"crm/", "desk/", ":6"},
		"show c":           {"crm/", ":6"},
		"try ":             {":4"},
		"get -o ":          {"table", "json", "yaml", ":4"},
	} {
		got := s.Run(t, things, append([]string{"__complete", "things"}, strings.Split(begun, " ")...)...)
		if lines := strings.Split(strings.TrimSpace(got.Out), "\n"); !slices.Equal(lines, want) {
			t.Errorf("%q: %q, want %q", begun, lines, want)
		}
	}
}

func TestACompletionThatFailsOffersNothing(t *testing.T) {
	refused := clitest.Refusal(codes.Unavailable, "away")
	s := clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/recipients": refused, "GET /v1/appliances": refused, "GET /v1/event-types": refused, "GET /v1/custom-fields": refused,
	})
	for _, token := range []string{"token", ""} {
		s.Env["OUTBOUND_TOKEN"] = token
		for _, name := range []string{"get", "send", "rotate", "add", "set"} {
			if got := s.Run(t, things, "__complete", "things", name, ""); got.Out != ":4\n" {
				t.Errorf("%s: %q", name, got.Out)
			}
		}
	}
}

func TestFlagsSetFields(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "text")
	if err := os.WriteFile(path, []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []command.FieldFlag{
		command.TextFlag("name", "displayName", ""), command.WordFlag("format", "http.format", ""),
		command.BoolFlag("stop", "http.stopOnGone", ""),
		command.IntFlag("max", "http.maxInFlight", ""), command.FloatFlag("backoff", "http.backoff.multiplier", ""),
		command.ListFlag("event", "eventTypes", ""),
		command.DurationFlag("interval", "http.retryInterval", ""), command.FileFlag("body", "http.body", ""),
		command.SecretFlag("password", "password", ""),
	}
	args := []string{"--name", "CRM", "--format", "json-binary", "--stop", "--max", "3", "--backoff", "1.5", "--event", "a,b", "--event", "c",
		"--interval", "90s", "--body", path, "--password", path}
	cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }}
	command.DefineFields(cmd, flags)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	files := &input.Reader{In: strings.NewReader("displayName: of the file\nenabled: false\n")}
	got, where, err := command.FlagTree(files, cmd, "-", flags)
	want := resource.Tree{
		"displayName": "CRM", "enabled": false, "eventTypes": []string{"a", "b", "c"}, "password": "text",
		"http": resource.Tree{
			"format": "JSON_BINARY", "stopOnGone": true, "maxInFlight": 3, "backoff": resource.Tree{"multiplier": 1.5},
			"retryInterval": "90s", "body": "text\n",
		},
	}
	if err != nil || where != "-" || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v from %s, %v\nwant %v", got, where, err, want)
	}
}

func TestFlagsThatAreNotGivenSetNothing(t *testing.T) {
	flags := []command.FieldFlag{command.TextFlag("name", "displayName", ""), command.FileFlag("body", "body", "")}
	cmd := &cobra.Command{Use: "x"}
	command.DefineFields(cmd, flags)
	files := &input.Reader{In: strings.NewReader("")}
	if got, where, err := command.FlagTree(files, cmd, "", flags); err != nil || len(got) > 0 || where != "flags" {
		t.Errorf("got %v from %s, %v", got, where, err)
	}
	if _, _, err := command.FlagTree(files, cmd, "-", flags); exit.Code(err) != exit.CodeUsage {
		t.Errorf("an empty file: %v", err)
	}
	if err := cmd.ParseFlags([]string{"--body", filepath.Join(t.TempDir(), "none")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := command.FlagTree(files, cmd, "", flags); exit.Code(err) != exit.CodeUsage {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestPairs(t *testing.T) {
	got, err := command.Pairs([]string{"a=b", "c=d=e", "f="})
	if err != nil || !reflect.DeepEqual(got, resource.Tree{"a": "b", "c": "d=e", "f": ""}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"a", "=b", ""} {
		if _, err := command.Pairs([]string{bad}); exit.Code(err) != exit.CodeUsage {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "", "2h": "2026-11-21T08:00:00Z", "0s": "2026-11-21T10:00:00Z", "2026-11-21T09:00:00+01:00": "2026-11-21T08:00:00Z",
	} {
		got, err := command.Moment("--since", text, now)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		at, err := command.MomentOf("--since", text, now)
		if err != nil || (at == nil) != (want == "") || at != nil && at.AsTime().Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v", text, at, err)
		}
	}
	for _, text := range []string{"-2h", "yesterday", "2026-11-21"} {
		if _, err := command.MomentOf("--since", text, now); exit.Code(err) != exit.CodeUsage || !strings.Contains(err.Error(), "--since") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAQuestionIsAnswered(t *testing.T) {
	for typed, want := range map[string]bool{"yes\n": true, " Y \n": true, "yes": true, "no\n": false, "\n": false, "yess\n": false} {
		agreed := !want
		ask := func(env *command.Env) *cobra.Command {
			return &cobra.Command{Use: "ask", RunE: func(*cobra.Command, []string) (err error) {
				agreed, err = env.Agree("delete\x1b them?", "nobody answers")
				return err
			}}
		}
		s := &clitest.Server{In: typed}
		if got := s.Run(t, ask, "ask"); got.Code != exit.CodeOK || agreed != want || !strings.HasPrefix(got.Out, "delete? them?") {
			t.Errorf("%q: %t, %+v", typed, agreed, got)
		}
		s.In = ""
		if got := s.Run(t, ask, "ask"); got.Code != exit.CodeUsage || !strings.Contains(got.Err, "nobody answers") {
			t.Errorf("no answer: %+v", got)
		}
	}
}

func TestAStreamThatBreaksIsNoted(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/x": clitest.InTurn(clitest.JSON(`{"result":{}}`),
		clitest.Refusal(codes.NotFound, "gone"))})
	seen := 0
	got := s.Run(t, func(env *command.Env) *cobra.Command {
		return &cobra.Command{Use: "follow", RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			return env.Follow(ctx, c, client.Subscription{
				Path: "/v1/x", Next: func() proto.Message { return &outboundv1.Status{} },
				Each: func(proto.Message) error { seen++; return nil },
			})
		})}
	}, "follow")
	if lines := strings.Count(got.Err, "\n"); seen != 1 || lines != 2 || !strings.HasSuffix(got.Err, "gone\n") ||
		got.Code != exit.CodeNotFound {
		t.Errorf("%d messages, %+v", seen, got)
	}
}
