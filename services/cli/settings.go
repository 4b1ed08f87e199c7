package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func settings(env *command.Env) *cobra.Command {
	smtp := settingsGroup(env, settingsKind{
		name: "smtp", short: "Manage the SMTP relay settings", empty: func() proto.Message { return &outboundv1.SmtpSettings{} },
		flags: []command.FieldFlag{
			command.TextFlag("host", "host", "host name or IP address of the relay"),
			command.IntFlag("port", "port", "port (default by encryption: 25, 587 or 465)"),
			command.WordFlag("encryption", "encryption", "none, starttls or tls (default starttls)"),
			command.WordFlag("auth", "auth", "none, plain, login, cram_md5 or xoauth2 (default none)"),
			command.TextFlag("username", "username", "user name for the relay"),
			command.SecretFlag("password-file", "password", "file with the password; - reads standard input"),
			command.TextFlag("from-address", "fromAddress", "sender address"),
			command.TextFlag("from-name", "fromName", "sender name (default Outbound)"),
			command.FileFlag("ca-file", "caCertificatePem", "file with the root certificates of the relay"),
			command.BoolFlag("legacy-tls", "legacyTls",
				"for old relays: TLS 1.2 alone, with RSA key exchange and CBC; weakens the connection (no forward secrecy)"),
			command.BoolFlag("small-client-hello", "smallClientHello",
				"no post-quantum key exchange, for relays and devices on the way that drop large ClientHellos"),
			command.ListFlag("admin-contact", "adminContacts",
				"email address of an admin contact, who receives alerts about recipients without a contact, silent appliances and storage; may be "+
					"repeated"),
			command.TextFlag("hello-name", "helloName", "host name for EHLO (default: the name of the host)"),
			command.IntFlag("max-connections", "maxConnections", "maximum connections to the relay, for each email-sender (default 4)"),
			command.IntFlag("rate", "rateLimit.limit", "maximum emails per period (default no limit)"),
			command.DurationFlag("rate-period", "rateLimit.period", "period of --rate (default 1s)"),
			command.BoolFlag("daily-notice", "dailyNotice.enabled", "send a daily report to the admin contacts"),
			command.TextFlag("daily-notice-time", "dailyNotice.time",
				"time of the daily report, HH:MM in the time zone of the email settings (default 08:00)"),
			command.TextFlag("token-url", "oauth2.tokenUrl", "token endpoint for xoauth2 (https)"),
			command.TextFlag("client-id", "oauth2.clientId", "client ID at the token endpoint"),
			command.SecretFlag("client-secret-file", "oauth2.clientSecret", "file with the client secret; - reads standard input"),
			command.SecretFlag("refresh-token-file", "oauth2.refreshToken", "file with the refresh token; - reads standard input"),
			command.ListFlag("scope", "oauth2.scopes", "scope to request; may be repeated"),
			command.PairsFlag("token-param", "oauth2.parameters",
				"parameter of token requests as name=value, e.g. resource=https://mail.example.com; may be repeated"),
		},
	})
	smtp.AddCommand(testEmail(env))
	email := settingsGroup(env, settingsKind{
		name: "email", short: "Manage settings for all email recipients", empty: func() proto.Message { return &outboundv1.EmailSettings{} },
		flags: []command.FieldFlag{
			command.DurationFlag("retry-interval", "retryInterval", "interval between attempts (default 1m)"),
			command.DurationFlag("retry-duration", "retryDuration", "how long an email is retried (default 24h)"),
			command.TextFlag("time-zone", "timeZone", "time zone for times in emails (default UTC)"),
		},
	})
	return command.Group("settings", "Manage SMTP and email settings", smtp, email)
}

// testEmail is `settings smtp test`.
func testEmail(env *command.Env) *cobra.Command {
	var to []string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test email and show the relay's response",
		Long: "An email-sender sends the email through the configured relay. Without --to it goes to the admin contacts.\n" +
			"The exit code is 1 unless the relay accepts it for every address.",
		Example: "  outbound settings smtp test --to me@example.com",
		Args:    command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			out := &outboundv1.SendTestEmailResponse{}
			if err := c.Call(ctx, http.MethodPost, "/v1/settings/smtp:test", &outboundv1.SendTestEmailRequest{To: to}, out); err != nil {
				return err
			}
			if err := env.Show(out, func() *output.Table { return testTable(out) }); err != nil {
				return err
			}
			if !out.GetOk() {
				return errors.New("the relay did not accept every test email")
			}
			return nil
		}),
	}
	cmd.Flags().StringSliceVar(&to, "to", nil, "address to send to; may be repeated (default the admin contacts)")
	return cmd
}

func testTable(out *outboundv1.SendTestEmailResponse) *output.Table {
	t := &output.Table{Head: []string{"", "ADDRESS", "CODE", "RESPONSE"}}
	for _, r := range out.GetResults() {
		mark, code := "✗", "-"
		if r.GetAccepted() {
			mark = "✓"
		}
		if r.GetCode() != 0 {
			code = fmt.Sprint(r.GetCode())
		}
		t.Add(mark, r.GetAddress(), code, r.GetDetail())
	}
	return t
}

// settingsKind is one of the settings that recipients share.
type settingsKind struct {
	name, short string
	// empty returns a message of the kind.
	empty func() proto.Message
	flags []command.FieldFlag
}

func settingsGroup(env *command.Env, k settingsKind) *cobra.Command {
	path := "/v1/settings/" + k.name
	get := &cobra.Command{
		Use: "get", Short: "Show the settings", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			m := k.empty()
			if err := c.Call(ctx, http.MethodGet, path, nil, m); err != nil {
				return err
			}
			return env.ShowFields(m)
		}),
	}
	var file string
	set := &cobra.Command{Use: "set", Short: "Update settings, from a file or from flags", Args: command.Arguments()}
	set.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON file with the settings; - reads standard input")
	command.DefineFields(set, k.flags)
	set.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		t, where, err := command.FlagTree(env.Files, set, file, k.flags)
		if err != nil {
			return err
		}
		want, saved := k.empty(), k.empty()
		if err := resource.Fill(t, want, where); err != nil {
			return err
		}
		mask := resource.Mask(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return exit.Usagef("nothing to change: set a field, see %q", set.CommandPath()+" --help")
		}
		if err := c.Patch(ctx, path, want, mask, saved); err != nil {
			return err
		}
		return env.ShowFields(saved)
	})
	return command.Group(k.name, k.short, get, set)
}
