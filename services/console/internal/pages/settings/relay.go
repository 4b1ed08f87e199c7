package settings

import (
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// relayFields returns the fields of the relay form.
func relayFields() []string {
	return []string{
		"host", "port", "encryption", "auth", "username", "password", "fromAddress", "fromName", "caCertificatePem", "adminContacts", "helloName",
		"legacyTls", "smallClientHello",
		"oauth2.tokenUrl", "oauth2.clientId", "oauth2.clientSecret", "oauth2.refreshToken", "oauth2.scopes",
		"oauth2.parameters", "rateLimit.limit",
		"rateLimit.period",
		"maxConnections", "dailyNotice.enabled", "dailyNotice.time", "etag",
	}
}

func emailFields() []string { return []string{"retryDuration", "retryInterval", "timeZone", "etag"} }

type relayPage struct {
	Relay, Email *web.Form
	Settings     *outboundv1.SmtpSettings
	Status       *outboundv1.RelayStatus
	Results      *outboundv1.SendTestEmailResponse
	// To is the recipient of the test email.
	To string
}

// Encryptions returns the options of the encryption field.
func (relayPage) Encryptions() []web.Option {
	return []web.Option{{Value: "STARTTLS", Label: "STARTTLS (required)"}, {Value: "TLS", Label: "TLS (implicit)"},
		{Value: "NONE", Label: "None"}}
}

// Auths returns the authentication methods.
func (relayPage) Auths() []web.Option {
	return []web.Option{
		{Value: "NONE", Label: "None"}, {Value: "PLAIN", Label: "PLAIN"}, {Value: "LOGIN", Label: "LOGIN"},
		{Value: "CRAM_MD5", Label: "CRAM-MD5"},
		{Value: "XOAUTH2", Label: "XOAUTH2"},
	}
}

func showRelay(r *web.Request) error { return renderRelay(r, relayPage{}) }

// renderRelay shows the page. Forms that are not given show the stored settings.
func renderRelay(r *web.Request, p relayPage) error {
	smtp, err := r.API.Settings.GetSmtpSettings(r.Context(), &outboundv1.GetSmtpSettingsRequest{})
	if err != nil {
		return err
	}
	p.Settings = smtp
	if p.Relay == nil {
		p.Relay = web.NewForm(nil)
		if err := p.Relay.Show(smtp, relayFields()...); err != nil {
			return err
		}
	}
	if p.Email == nil {
		email, err := r.API.Settings.GetEmailSettings(r.Context(), &outboundv1.GetEmailSettingsRequest{})
		if err != nil {
			return err
		}
		p.Email = web.NewForm(nil)
		if err := p.Email.Show(email, emailFields()...); err != nil {
			return err
		}
	}
	// The page works without the status, which another service reports.
	if s, err := r.API.Status.GetStatus(r.Context(), &outboundv1.GetStatusRequest{}); err == nil {
		p.Status = s.GetRelay()
	}
	return r.Render("relay", p)
}

func saveRelay(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	if pem, err := form.File("caCertificateFile"); err != nil {
		return err
	} else if pem != "" {
		form.Set("caCertificatePem", pem)
	}
	smtp := &outboundv1.SmtpSettings{}
	if err := form.Read(smtp, relayFields()...); err != nil {
		return err
	}
	// Messages without values are left out.
	if form.Get("oauth2.tokenUrl")+form.Get("oauth2.clientId")+form.Get("oauth2.refreshToken")+form.Get("oauth2.clientSecret") == "" {
		smtp.Oauth2 = nil
	}
	if form.Get("rateLimit.limit") == "" {
		smtp.RateLimit = nil
	}
	if !form.Bad() {
		_, err = r.API.Settings.UpdateSmtpSettings(r.Context(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: smtp})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		return renderInvalid(r, func(r *web.Request, f *web.Form) error { return renderRelay(r, relayPage{Relay: f}) }, form)
	}
	r.Flash(web.Good, "Relay saved. Check the relay status below in a few seconds.")
	return r.Redirect("/settings/relay")
}

func saveEmail(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	email := &outboundv1.EmailSettings{}
	if err := form.Read(email, emailFields()...); err != nil {
		return err
	}
	if !form.Bad() {
		_, err = r.API.Settings.UpdateEmailSettings(r.Context(), &outboundv1.UpdateEmailSettingsRequest{EmailSettings: email})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		return renderInvalid(r, func(r *web.Request, f *web.Form) error { return renderRelay(r, relayPage{Email: f}) }, form)
	}
	r.Flash(web.Good, "Email settings saved. They apply to all email recipients.")
	return r.Redirect("/settings/relay")
}

func testRelay(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	p := relayPage{To: form.Get("to")}
	p.Results, err = r.API.Settings.SendTestEmail(r.Context(), &outboundv1.SendTestEmailRequest{To: form.Lines("to")})
	if err != nil {
		if !form.Refused(err) {
			return err
		}
		r.Flash(web.Bad, "The test email was not sent. "+strings.TrimSpace(words(form)))
	}
	return renderRelay(r, p)
}
