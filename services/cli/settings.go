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
	smtp := settingsGroup(env, settingsKind{
		name: "smtp", short: "The SMTP relay that mail leaves by", empty: func() proto.Message { return &outboundv1.SmtpSettings{} },
		flags: []fieldFlag{
			textFlag("host", "host", "host name or address of the relay"),
			intFlag("port", "port", "port (default by encryption: 25, 587 or 465)"),
			wordFlag("encryption", "encryption", "none, starttls or tls (default starttls)"),
			wordFlag("auth", "auth", "none, plain, login, cram_md5 or xoauth2 (default none)"),
			textFlag("username", "username", "user name at the relay"),
			secretFlag("password-file", "password", "file with the password; - is standard input"),
			textFlag("from-address", "fromAddress", "the sender's address"),
			textFlag("from-name", "fromName", "the sender's name (default Outbound)"),
			fileFlag("ca-file", "caCertificatePem", "file with the root certificates (PEM) of the relay"),
			listFlag("admin-contact", "adminContacts", "addresses told of trouble that is nobody else's; may be repeated"),
			textFlag("hello-name", "helloName", "host name we introduce ourselves with (default the host's own)"),
			intFlag("max-connections", "maxConnections", "connections to the relay at once, of each sender (default 4)"),
			intFlag("rate", "rateLimit.limit", "mails per period at most (default no limit)"),
			durationFlag("rate-period", "rateLimit.period", "the period of --rate (default 1s)"),
			boolFlag("daily-notice", "dailyNotice.enabled", "a mail a day to the admin contacts"),
			textFlag("daily-notice-time", "dailyNotice.time", "when it is sent, HH:MM in the zone of mails (default 08:00)"),
			textFlag("token-url", "oauth2.tokenUrl", "where access tokens for xoauth2 are got (https)"),
			textFlag("client-id", "oauth2.clientId", "client id at the token endpoint"),
			secretFlag("client-secret-file", "oauth2.clientSecret", "file with the client secret; - is standard input"),
			secretFlag("refresh-token-file", "oauth2.refreshToken", "file with the refresh token; - is standard input"),
			listFlag("scope", "oauth2.scopes", "scopes to ask for; may be repeated"),
		},
	})
	smtp.AddCommand(testEmail(env))
	email := settingsGroup(env, settingsKind{
		name: "email", short: "What holds for all email recipients", empty: func() proto.Message { return &outboundv1.EmailSettings{} },
		flags: []fieldFlag{
			durationFlag("retry-interval", "retryInterval", "pause between two attempts (default 1m)"),
			durationFlag("retry-duration", "retryDuration", "how long a mail is tried (default 24h)"),
			textFlag("time-zone", "timeZone", "zone of the times in mails (default UTC)"),
		},
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

// settingsKind is one of the settings that recipients share.
type settingsKind struct {
	name, short string
	// empty returns a message of the kind.
	empty func() proto.Message
	flags []fieldFlag
}

func settingsGroup(env *app, k settingsKind) *cobra.Command {
	path := "/v1/settings/" + k.name
	get := &cobra.Command{
		Use: "get", Short: "Show the settings", Args: arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			m := k.empty()
			if err := c.call(ctx, http.MethodGet, path, nil, m); err != nil {
				return err
			}
			return env.showFields(m)
		}),
	}
	var file string
	set := &cobra.Command{Use: "set", Short: "Change the named settings, from a file or from flags", Args: arguments()}
	set.Flags().StringVarP(&file, "file", "f", "", "file with the settings in YAML or JSON; - is standard input")
	defineFields(set, k.flags)
	set.RunE = env.with(func(ctx context.Context, c *client, _ []string) error {
		t, where, err := flagTree(env.Files, set, file, k.flags)
		if err != nil {
			return err
		}
		want, saved := k.empty(), k.empty()
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
	return group(k.name, k.short, get, set)
}
