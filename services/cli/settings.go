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

func settings(env *app) *cobra.Command {
	smtp := settingsGroup(env, "smtp", "The SMTP relay that mail leaves by", func() proto.Message { return &outboundv1.SmtpSettings{} },
		[]fieldFlag{
			{"host", "host", flagText, "host name or address of the relay"},
			{"port", "port", flagInt, "port (default by encryption: 25, 587 or 465)"},
			{"encryption", "encryption", flagWord, "none, starttls or tls (default starttls)"},
			{"auth", "auth", flagWord, "none, plain, login, cram_md5 or xoauth2 (default none)"},
			{"username", "username", flagText, "user name at the relay"},
			{"password-file", "password", flagSecret, "file with the password; - is standard input"},
			{"from-address", "fromAddress", flagText, "the sender's address"},
			{"from-name", "fromName", flagText, "the sender's name (default Outbound)"},
			{"ca-file", "caCertificatePem", flagFile, "file with the root certificates (PEM) of the relay"},
			{"admin-contact", "adminContacts", flagList, "addresses told of trouble that is nobody else's; may be repeated"},
			{"hello-name", "helloName", flagText, "host name we introduce ourselves with (default the host's own)"},
			{"max-connections", "maxConnections", flagInt, "connections to the relay at once, of each sender (default 4)"},
			{"rate", "rateLimit.limit", flagInt, "mails per period at most (default no limit)"},
			{"rate-period", "rateLimit.period", flagDuration, "the period of --rate (default 1s)"},
			{"daily-notice", "dailyNotice.enabled", flagBool, "a mail a day to the admin contacts"},
			{"daily-notice-time", "dailyNotice.time", flagText, "when it is sent, HH:MM in the zone of mails (default 08:00)"},
			{"token-url", "oauth2.tokenUrl", flagText, "where access tokens for xoauth2 are got (https)"},
			{"client-id", "oauth2.clientId", flagText, "client id at the token endpoint"},
			{"client-secret-file", "oauth2.clientSecret", flagSecret, "file with the client secret; - is standard input"},
			{"refresh-token-file", "oauth2.refreshToken", flagSecret, "file with the refresh token; - is standard input"},
			{"scope", "oauth2.scopes", flagList, "scopes to ask for; may be repeated"},
		})
	smtp.AddCommand(testEmail(env))
	email := settingsGroup(env, "email", "What holds for all email recipients", func() proto.Message { return &outboundv1.EmailSettings{} },
		[]fieldFlag{
			{"retry-interval", "retryInterval", flagDuration, "pause between two attempts (default 1m)"},
			{"retry-duration", "retryDuration", flagDuration, "how long a mail is tried (default 24h)"},
			{"time-zone", "timeZone", flagText, "zone of the times in mails (default UTC)"},
		})
	return group("settings", "See and change what recipients share", smtp, email)
}

// testEmail is `settings smtp test`.
func testEmail(env *app) *cobra.Command {
	var to []string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test mail at once and tell what the relay answers",
		Long: "The mail is sent by an email-sender, through the relay as it is set. Without --to it goes to the admin contacts.\n" +
			"Exit code 1 unless the relay accepts it for every address.",
		Example: "  outbound settings smtp test --to me@example.com",
		Args:    arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			out := &outboundv1.SendTestEmailResponse{}
			if err := c.call(ctx, http.MethodPost, "/v1/settings/smtp:test", &outboundv1.SendTestEmailRequest{To: to}, out); err != nil {
				return err
			}
			if err := env.show(out, func() *table { return testTable(out) }); err != nil {
				return err
			}
			if !out.GetOk() {
				return errors.New("the relay did not accept every test mail")
			}
			return nil
		}),
	}
	cmd.Flags().StringSliceVar(&to, "to", nil, "addresses to send to; may be repeated (default the admin contacts)")
	return cmd
}

func testTable(out *outboundv1.SendTestEmailResponse) *table {
	t := &table{head: []string{"", "ADDRESS", "CODE", "ANSWER"}}
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

func settingsGroup(env *app, name, short string, empty func() proto.Message, flags []fieldFlag) *cobra.Command {
	path := "/v1/settings/" + name
	get := &cobra.Command{
		Use: "get", Short: "Show the settings", Args: arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			m := empty()
			if err := c.call(ctx, http.MethodGet, path, nil, m); err != nil {
				return err
			}
			return env.showFields(m)
		}),
	}
	var file string
	set := &cobra.Command{Use: "set", Short: "Change the named settings, from a file or from flags", Args: arguments()}
	set.Flags().StringVarP(&file, "file", "f", "", "file with the settings in YAML or JSON; - is standard input")
	for _, x := range flags {
		defineFlag(set, x.flag, x.kind, x.help)
	}
	set.RunE = env.with(func(ctx context.Context, c *client, _ []string) error {
		t, where, err := flagTree(env.Files, set, file, flags)
		if err != nil {
			return err
		}
		want, saved := empty(), empty()
		if err := fill(t, want, where); err != nil {
			return err
		}
		mask := maskOf(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return usage("nothing to change: name a setting, see %q", set.CommandPath()+" --help")
		}
		if err := c.patch(ctx, path, want, mask, saved); err != nil {
			return err
		}
		return env.showFields(saved)
	})
	return group(name, short, get, set)
}
