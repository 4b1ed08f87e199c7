package emailsender_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/services/emailsender"
)

// A relay that repeats what we signed in with does not get it into records, lines and answers.
func TestRepliesOfARelayDoNotRepeatSecrets(t *testing.T) {
	ca := smtptest.NewCA(t)
	echo := strings.Join([]string{password, base64.StdEncoding.EncodeToString([]byte("\x00user\x00" + password)), fmt.Sprintf("%x", password)},
		" and ")
	for name, script := range map[string]smtptest.Script{
		"to AUTH": {Auth: reply(535, "5.7.8 refused "+echo)}, "to MAIL": {Mail: reply(550, "5.7.1 refused "+echo)},
		"to DATA": {Data: reply(451, "4.3.0 refused "+echo)}, "to RCPT": {
			Rcpt: map[string]*smtptest.Reply{alice: reply(550, "5.1.1 refused "+echo)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1"), Username: "user", Password: password})
			conf := relayOf(srv)
			conf.change(func(c *settings.SMTP) {
				c.Encryption, c.CAPEM, c.Auth, c.Username, c.Password = settings.STARTTLS, ca.PEM, settings.Plain, "user", password
			})
			srv.Play(script)
			v, o := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
			text := fmt.Sprintf("%+v %s %s", v, o.Detail, o.Excerpt)
			if !strings.Contains(text, "refused") || !strings.Contains(text, "[redacted]") {
				t.Errorf("the reply is not shown masked: %s", text)
			}
			for _, form := range secret.Forms(password) {
				if strings.Contains(text, form) {
					t.Errorf("%q is shown: %s", form, text)
				}
			}
		})
	}
}
