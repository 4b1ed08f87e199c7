package command_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// destroys is a command that asks.
func destroys(env *command.Env) *cobra.Command {
	cmd := &cobra.Command{Use: "destroy", Args: command.Arguments()}
	command.YesFlag(cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := env.Confirm(cmd, "Destroy it?"); err != nil {
			return err
		}
		return c.Call(ctx, http.MethodDelete, "/v1/it", nil, nil)
	})
	return cmd
}

// A script that was written before there was a question goes on as it did, and keeps its input.
func TestAScriptIsNotAsked(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"DELETE /v1/it": clitest.JSON("{}")})
	s.In = "no\n"
	if got := s.Run(t, destroys, "destroy"); got.Code != exit.CodeOK || len(s.Calls("")) != 1 || got.Err+got.Out != "" {
		t.Errorf("%d calls, %+v", len(s.Calls("")), got)
	}
}

func TestWhatCannotBeUndoneIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		in, args, says string
		code, calls    int
	}{
		{"yes\n", "", "Destroy it?", exit.CodeOK, 1},
		{"y", "", "Destroy it?", exit.CodeOK, 1},
		{"no\n", "", "nothing is changed", exit.CodeFailed, 0},
		{"\n", "", "nothing is changed", exit.CodeFailed, 0},
		{"", "", "use --yes", exit.CodeUsage, 0},
		{"", "--yes", "", exit.CodeOK, 1},
		{"", "-o json", "use --yes", exit.CodeUsage, 0},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"DELETE /v1/it": clitest.JSON("{}")})
		s.In, s.InTerminal = c.in, true
		got := s.Run(t, destroys, append([]string{"destroy"}, strings.Fields(c.args)...)...)
		if got.Code != c.code || len(s.Calls("")) != c.calls || !strings.Contains(got.Err, c.says) || got.Out != "" {
			t.Errorf("%q %s: %d calls, %+v", c.in, c.args, len(s.Calls("")), got)
		}
	}
}

// sets is a command whose flags set fields of the API.
func sets(env *command.Env) *cobra.Command {
	cmd := &cobra.Command{Use: "set", Args: command.Arguments()}
	cmd.Flags().StringP("file", "f", "", "")
	command.DefineFields(cmd, []command.FieldFlag{command.DurationFlag("interval", "http.retryInterval", ""),
		command.ListFlag("event", "eventTypes", "")})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		return c.Call(ctx, http.MethodPost, "/v1/it", nil, nil)
	})
	return cmd
}

func TestAFaultIsNamedByItsFlag(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/it": clitest.Refusal(codes.InvalidArgument, "m", "http.retryInterval:is odd",
		"eventTypes[1]:is unknown", "http.url:is missing")})
	for args, want := range map[string][]string{
		"--interval 1s --event a,b":       {"--interval: is odd", "--event: is unknown", "http.url: is missing"},
		"":                                {"--interval: is odd", "--event: is unknown", "http.url: is missing"},
		"--interval 1s -f recipient.yaml": {"--interval: is odd", "eventTypes[1]: is unknown", "http.url: is missing"},
	} {
		got := s.Run(t, sets, append([]string{"set"}, strings.Fields(args)...)...)
		for _, line := range want {
			if !slices.Contains(strings.Split(got.Err, "\n"), "  "+line) {
				t.Errorf("%q: no line %q in\n%s", args, line, got.Err)
			}
		}
	}
}

func TestAFlagThatIsMisspelledIsSuggested(t *testing.T) {
	cmd := &cobra.Command{Use: "x"}
	cmd.Flags().String("recipient", "", "")
	cmd.PersistentFlags().String("token-file", "", "")
	cmd.Flags().String("hidden-one", "", "")
	_ = cmd.Flags().MarkHidden("hidden-one")
	for given, want := range map[string]string{
		"--recipent": "did you mean --recipient", "--token": "did you mean --token-file", "--tokenfile=x": "did you mean --token-file",
		"--hidden-on": "unknown flag: --hidden-on: see", "--zzz": "unknown flag: --zzz: see", "-x": "unknown shorthand",
	} {
		err := command.FlagError(cmd, cmd.ParseFlags([]string{given}))
		if exit.Code(err) != exit.CodeUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", given, err)
		}
	}
}

func TestDurationsAreWrittenAsPeopleDo(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "-1h": -time.Hour, "0s": 0, "0d": 0,
	} {
		var got time.Duration
		cmd := &cobra.Command{Use: "x"}
		command.DurationVar(cmd.Flags(), &got, "of", "")
		if err := cmd.ParseFlags([]string{"--of=" + text}); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "d", "1d1", "1d-1h", "-1d1h", "1h1d", "9999999999d", "106751d999999h", "soon"} {
		var got time.Duration
		cmd := &cobra.Command{Use: "x"}
		command.DurationVar(cmd.Flags(), &got, "of", "")
		if err := cmd.ParseFlags([]string{"--of=" + text}); err == nil || !strings.Contains(err.Error(), "24h") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	cmd := &cobra.Command{Use: "x"}
	day, none := 24*time.Hour, time.Duration(0)
	command.DurationVar(cmd.Flags(), &day, "day", "how long")
	command.DurationVar(cmd.Flags(), &none, "none", "how long")
	if text := cmd.Flags().FlagUsages(); !strings.Contains(text, "(default 24h)") || strings.Count(text, "default") != 1 {
		t.Errorf("help says\n%s", text)
	}
}
