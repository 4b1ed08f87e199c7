package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The recipients of the demo, by id.
const (
	ticketDesk  = "ticket-desk"
	crm         = "crm"
	serviceDesk = "service-desk"
	teamLead    = "team-lead"
)

func recipientIDs() []string { return []string{ticketDesk, crm, serviceDesk, teamLead} }

// refusals is how often the CRM answers its first event with 500.
const refusals = 2

// retryInterval of the demo's recipients, short to keep the demo fast. The default is 30 s.
const retryInterval = time.Second

// eventLine is the last line of an email and names the event, as in the default templates.
const eventLine = "Sent by Outbound. Event "

// company is what receives: the HTTPS receiver, the mailbox and the certificate authority both are known by.
type company struct {
	authority *authority
	receiver  *receiver
	mailbox   *mailbox
}

// openCompany starts the receiver and the mailbox.
func openCompany(got func(arrival)) (*company, error) {
	a, err := newAuthority()
	if err != nil {
		return nil, err
	}
	config, err := a.serve()
	if err != nil {
		return nil, err
	}
	r, err := startReceiver(config, got)
	if err != nil {
		return nil, err
	}
	m, err := startMailbox(config, func(address string, x arrival) {
		x.Recipient = recipientOf(address)
		got(x)
	})
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return &company{authority: a, receiver: r, mailbox: m}, nil
}

// Close ends both servers.
func (c *company) Close() {
	_ = c.receiver.Close()
	_ = c.mailbox.Close()
}

// mailDomain is the domain of the addresses; the local part is the recipient's ID.
const mailDomain = "@example.com"

func recipientOf(address string) string { return address[:max(0, len(address)-len(mailDomain))] }

// define creates the configuration over REST, as an operator would.
func (c *company) define(ctx context.Context, api *rest) error {
	for code, name := range map[string]string{fieldRegion: "Region", fieldContract: "Contract"} {
		field := &outboundv1.CustomField{CodeName: code, DisplayName: name}
		if err := api.Call(ctx, http.MethodPost, "/v1/custom-fields", field, nil); err != nil {
			return fmt.Errorf("define custom field %s: %w", code, err)
		}
	}
	if err := c.defineMail(ctx, api); err != nil {
		return err
	}
	secret, err := signingSecret()
	if err != nil {
		return err
	}
	if err := c.receiver.Sign(ticketDesk, secret); err != nil {
		return err
	}
	c.receiver.Fail(crm, refusals)
	for _, r := range []*outboundv1.Recipient{c.ticketDesk(secret), c.crm(), serviceDeskMail(), teamLeadMail()} {
		if err := api.Call(ctx, http.MethodPost, "/v1/recipients", r, nil); err != nil {
			return fmt.Errorf("create recipient %s: %w", r.GetId(), err)
		}
	}
	return nil
}

func (c *company) defineMail(ctx context.Context, api *rest) error {
	relay := &outboundv1.SmtpSettings{
		Host: "127.0.0.1", Port: int32(c.mailbox.Port), Encryption: outboundv1.SmtpSettings_Encryption_STARTTLS,
		Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: mailUser, Password: mailPassword,
		FromAddress: "outbound" + mailDomain, FromName: "Outbound", CaCertificatePem: c.authority.PEM,
	}
	if err := api.Call(ctx, http.MethodPatch, "/v1/settings/smtp", relay, nil); err != nil {
		return fmt.Errorf("set the SMTP relay: %w", err)
	}
	retries := &outboundv1.EmailSettings{RetryInterval: durationpb.New(retryInterval)}
	if err := api.Call(ctx, http.MethodPatch, "/v1/settings/email", retries, nil); err != nil {
		return fmt.Errorf("set the email retries: %w", err)
	}
	return nil
}

func (c *company) ticketDesk(secret string) *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: ticketDesk, DisplayName: "Ticket desk", EventTypes: allTypes(),
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: c.receiver.Base + "/" + ticketDesk, CaCertificatePem: c.authority.PEM, SendCustomFields: true,
			SigningSecrets: []*outboundv1.SigningSecret{{Secret: secret}}, RetryInterval: durationpb.New(retryInterval),
		}},
	}
}

func (c *company) crm() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: crm, DisplayName: "CRM", EventTypes: []string{typeBegin, typeEnd},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: c.receiver.Base + "/" + crm, CaCertificatePem: c.authority.PEM,
			Format: outboundv1.HttpRecipient_Format_JSON, RetryInterval: durationpb.New(retryInterval),
		}},
	}
}

func serviceDeskMail() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: serviceDesk, DisplayName: "Service desk", EventTypes: mailTypes(),
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{
			Addresses: []string{serviceDesk + mailDomain}, RequireExternalKey: true,
			Subject: "[%EXTERNAL_KEY%] %EVENT_LABEL%",
			Body:    "Ticket %EXTERNAL_KEY%, region %CUSTOM_REGION%\n%SURVEY_ANSWERS%\n-- \n" + eventLine + "%EVENT_ID%\n",
		}},
	}
}

func teamLeadMail() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: teamLead, DisplayName: "Team lead", EventTypes: mailTypes(),
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{teamLead + mailDomain}}},
	}
}

// wants says whether a step is owed to a recipient, and whether it is to be skipped for want of an external key.
func wants(recipient string, s step) (owed, skip bool) {
	switch recipient {
	case ticketDesk:
		return true, false
	case crm:
		return s.Type == typeBegin || s.Type == typeEnd, false
	}
	for _, t := range mailTypes() {
		if t == s.Type {
			_, key := s.Data["external_key"]
			return true, recipient == serviceDesk && !key
		}
	}
	return false, false
}

// signingSecret draws a Standard Webhooks secret of 32 bytes.
func signingSecret() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("generate a signing secret: %w", err)
	}
	return "whsec_" + base64.StdEncoding.EncodeToString(b), nil
}
