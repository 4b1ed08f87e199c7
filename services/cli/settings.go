package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) settings() *cobra.Command {
	smtp := a.settingsGroup("smtp", "Manage the SMTP relay settings", func() proto.Message { return &outboundv1.SmtpSettings{} },
		[]fieldFlag{
			{"host", "host", flagText, "host name or IP address of the relay"},
			{"port", "port", flagInt, "port (default by encryption: 25, 587 or 465)"},
			{"encryption", "encryption", flagWord, "none, starttls or tls (default starttls)"},
			{"auth", "auth", flagWord, "none, plain, login, cram_md5 or xoauth2 (default none)"},
			{"username", "username", flagText, "user name for the relay"},
			{"password-file", "password", flagSecret, "file with the password; - reads standard input"},
			{"from-address", "fromAddress", flagText, "sender address"},
			{"from-name", "fromName", flagText, "sender name (default Outbound)"},
			{"ca-file", "caCertificatePem", flagFile, "file with the root certificates (PEM) of the relay"},
			{"admin-contact", "adminContacts", flagList, "email address of an admin contact, who receives alerts about recipients without a contact, silent appliances and storage; may be repeated"},
			{"hello-name", "helloName", flagText, "host name for EHLO (default: the name of the host)"},
			{"max-connections", "maxConnections", flagInt, "maximum connections to the relay, for each email-sender (default 4)"},
			{"rate", "rateLimit.limit", flagInt, "maximum emails per period (default no limit)"},
			{"rate-period", "rateLimit.period", flagDuration, "period of --rate (default 1s)"},
			{"daily-notice", "dailyNotice.enabled", flagBool, "send a daily report to the admin contacts"},
			{"daily-notice-time", "dailyNotice.time", flagText, "time of the daily report, HH:MM in the time zone of the email settings (default 08:00)"},
			{"token-url", "oauth2.tokenUrl", flagText, "token endpoint for xoauth2 (https)"},
			{"client-id", "oauth2.clientId", flagText, "client ID at the token endpoint"},
			{"client-secret-file", "oauth2.clientSecret", flagSecret, "file with the client secret; - reads standard input"},
			{"refresh-token-file", "oauth2.refreshToken", flagSecret, "file with the refresh token; - reads standard input"},
			{"scope", "oauth2.scopes", flagList, "scope to request; may be repeated"},
		})
	smtp.AddCommand(a.testEmail())
	email := a.settingsGroup("email", "Manage settings for all email recipients", func() proto.Message { return &outboundv1.EmailSettings{} },
		[]fieldFlag{
			{"retry-interval", "retryInterval", flagDuration, "interval between attempts (default 1m)"},
			{"retry-duration", "retryDuration", flagDuration, "how long an email is retried (default 24h)"},
			{"time-zone", "timeZone", flagText, "time zone for times in emails (default UTC)"},
		})
	return group("settings", "Manage SMTP and email settings", smtp, email)
}

// testEmail is `settings smtp test`.
func (a *app) testEmail() *cobra.Command {
	var to []string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test email and show the relay's response",
		Long: "An email-sender sends the email through the configured relay. Without --to it goes to the admin contacts.\n" +
			"The exit code is 1 unless the relay accepts it for every address.",
		Example: "  outbound settings smtp test --to me@example.com",
		Args:    arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			out := &outboundv1.SendTestEmailResponse{}
			if err := c.call(ctx, http.MethodPost, "/v1/settings/smtp:test", &outboundv1.SendTestEmailRequest{To: to}, out); err != nil {
				return err
			}
			if err := a.show(out, func() *table { return testTable(out) }); err != nil {
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

func testTable(out *outboundv1.SendTestEmailResponse) *table {
	t := &table{head: []string{"", "ADDRESS", "CODE", "RESPONSE"}}
	for _, r := range out.GetResults() {
		mark, code := "✗", "-"
		if r.GetAccepted() {
			mark = "✓"
		}
		if r.GetCode() != 0 {
			code = fmt.Sprint(r.GetCode())
		}
		t.add(mark, r.GetAddress(), code, r.GetDetail())
	}
	return t
}

func (a *app) settingsGroup(name, short string, empty func() proto.Message, flags []fieldFlag) *cobra.Command {
	path := "/v1/settings/" + name
	get := &cobra.Command{
		Use: "get", Short: "Show the settings", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			m := empty()
			if err := c.call(ctx, http.MethodGet, path, nil, m); err != nil {
				return err
			}
			return a.showFields(m)
		}),
	}
	var file string
	set := &cobra.Command{Use: "set", Short: "Update settings, from a file or from flags", Args: arguments()}
	set.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON file with the settings; - reads standard input")
	for _, x := range flags {
		defineFlag(set, x.flag, x.kind, x.help)
	}
	set.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		t, where, err := a.settingsTree(set, file, flags)
		if err != nil {
			return err
		}
		want, saved := empty(), empty()
		if err := fill(t, want, where); err != nil {
			return err
		}
		mask := maskOf(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return usage("nothing to change: set a field, see %q", set.CommandPath()+" --help")
		}
		if err := c.patch(ctx, path, want, mask, saved); err != nil {
			return err
		}
		return a.showFields(saved)
	})
	return group(name, short, get, set)
}

func (a *app) settingsTree(cmd *cobra.Command, file string, flags []fieldFlag) (t tree, where string, err error) {
	t, where = tree{}, "flags"
	if file != "" {
		if t, err = a.readTree(file); err != nil {
			return nil, "", err
		}
		where = file
	}
	for _, x := range flags {
		if !cmd.Flags().Changed(x.flag) {
			continue
		}
		v, err := flagValue(a, cmd, x.flag, x.kind)
		if err != nil {
			return nil, "", err
		}
		set(t, x.path, v)
	}
	return t, where, nil
}
