package config_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestMailTextsAreCheckedForTheTypesTheyAreFor(t *testing.T) {
	h := start(t)
	const survey = "support_conference_customer_exit_survey_completed"
	for name, c := range map[string]struct {
		change func(*outboundv1.EmailRecipient)
		field  string
		says   string
	}{
		"html with an unknown macro": {func(e *outboundv1.EmailRecipient) { e.HtmlBody = "<p>%EXTERNAL_KYE%</p>" }, "email.htmlBody",
			"did you mean %EXTERNAL_KEY%?"},
		"html that ends in a tag": {func(e *outboundv1.EmailRecipient) { e.HtmlBody = `<p title="%EVENT%` }, "email.htmlBody",
			"can't be escaped"},
		"html with a script": {func(e *outboundv1.EmailRecipient) { e.HtmlBody = "<p>\n<script>" }, "email.htmlBody",
			"line 2 contains <script>"},
		"html that becomes too long": {func(e *outboundv1.EmailRecipient) { e.HtmlBody = strings.Repeat("%EVENT_VARIABLES%", 7700) },
			"email.htmlBody", "1024 KiB"},
		"macro of another type": {func(e *outboundv1.EmailRecipient) { e.Body = "%RATING%" }, "email.body", "unknown macro %RATING%"},
		"override with another's": {override("support_conference_end", &outboundv1.MailText{Body: "%RATING%"}),
			`email.overrides["support_conference_end"].body`, "unknown macro %RATING%"},
		"override's subject": {override(survey, &outboundv1.MailText{Subject: "%RATIGN%"}),
			fmt.Sprintf("email.overrides[%q].subject", survey), "did you mean %RATING%?"},
		"override's html": {override(survey, &outboundv1.MailText{HtmlBody: "<iframe>"}),
			fmt.Sprintf("email.overrides[%q].htmlBody", survey), "<iframe>"},
		"override of an unknown type": {override("support_conference_edn", &outboundv1.MailText{Body: "x"}),
			`email.overrides["support_conference_edn"]`, "support_conference_end"},
		"override of a type not mailed": {override("support_conference_begin", &outboundv1.MailText{Body: "x"}),
			`email.overrides["support_conference_begin"]`, "can't be sent by email"},
		"eleven addresses": {func(e *outboundv1.EmailRecipient) {
			e.Addresses = nil
			for i := range 11 {
				e.Addresses = append(e.Addresses, fmt.Sprintf("a%d@example.com", i))
			}
		}, "email.addresses", "10"},
		"an address twice": {func(e *outboundv1.EmailRecipient) { e.Addresses = append(e.Addresses, "ops@EXAMPLE.com") },
			"email.addresses[1]", "twice"},
		"quoted local part": {func(e *outboundv1.EmailRecipient) { e.Addresses[0] = `"a b"@example.com` }, "email.addresses[0]", ""},
		"domain literal": {func(e *outboundv1.EmailRecipient) { e.Addresses[0] = "a@[192.0.2.1]" }, "email.addresses[0]",
			"domain literal"},
		"control character":    {func(e *outboundv1.EmailRecipient) { e.Addresses[0] = "a\r\nb@example.com" }, "email.addresses[0]", "control"},
		"subject of two lines": {func(e *outboundv1.EmailRecipient) { e.Subject = "a\r\nBcc: x" }, "email.subject", ""},
		"override of two lines": {override("support_conference_end", &outboundv1.MailText{Subject: "a\nb"}),
			`email.overrides["support_conference_end"].subject`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := emailRecipient(name)
			c.change(r.GetEmail())
			_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: r})
			wantFields(t, err, c.field)
			if says := rpc.ViolationsOf(err)[0].Description; !strings.Contains(says, c.says) {
				t.Errorf("says %q, want %q", says, c.says)
			}
			// A preview answers as saving does.
			_, err = h.admin.PreviewRecipient(h.ctx(), &outboundv1.PreviewRecipientRequest{Recipient: r})
			wantFields(t, err, c.field)
		})
	}
}

func override(eventType string, text *outboundv1.MailText) func(*outboundv1.EmailRecipient) {
	return func(e *outboundv1.EmailRecipient) { e.Overrides = map[string]*outboundv1.MailText{eventType: text} }
}

func TestOverridesWithoutEffectAreWarnedOf(t *testing.T) {
	h := start(t)
	r := emailRecipient("Desk")
	override("support_conference_rep_exit_survey_completed", &outboundv1.MailText{Body: "%RATING%"})(r.GetEmail())
	made := h.create(r)
	if w := made.GetWarnings(); len(w) != 1 || !strings.Contains(w[0], "support_conference_rep_exit_survey_completed") {
		t.Errorf("warned of %q", w)
	}
}

func TestMacrosAreListedByTypeWithExamplesAndDefaults(t *testing.T) {
	h := start(t)
	if _, err := h.settings.CreateCustomField(h.ctx(),
		&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: "Region", CodeName: "region"}}); err != nil {
		t.Fatal(err)
	}
	all, err := h.settings.ListMacros(h.ctx(), &outboundv1.ListMacrosRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all.GetDefaults()); n != 3 {
		t.Errorf("%d types have defaults, want the 3 that go by email", n)
	}
	found, last := map[string]*outboundv1.Macro{}, 3
	for _, m := range all.GetMacros() {
		found[m.GetName()] = m
		if m.GetDescription() == "" || len(m.GetEventTypes()) > last {
			t.Errorf("%s: %q, of %d types after one of %d", m.GetName(), m.GetDescription(), len(m.GetEventTypes()), last)
		}
		last = len(m.GetEventTypes())
	}
	for name, want := range map[string]struct {
		example string
		types   int
	}{
		"EXTERNAL_KEY": {"INC-1", 3}, "CUSTOM_REGION": {"sample", 3}, "CUSTOM_FIELDS": {"Region: sample", 3}, "RATING": {"5", 2},
		"END_REASON": {"closed", 1}, "DURATION_TEXT": {"21 min 0 s", 3}, "EVENT_LABEL": {"Support session end", 3},
	} {
		if m := found[name]; m.GetExample() != want.example || len(m.GetEventTypes()) != want.types {
			t.Errorf("%s is listed as %v, want %v", name, m, want)
		}
	}
	// Every default is one that can be saved.
	for i, d := range all.GetDefaults() {
		r := emailRecipient(fmt.Sprint("Default ", i))
		r.EventTypes = []string{d.GetEventType()}
		r.GetEmail().Subject, r.GetEmail().Body, r.GetEmail().HtmlBody = d.GetText().GetSubject(), d.GetText().GetBody(),
			d.GetText().GetHtmlBody()
		if made := h.create(r); made.GetEmail().GetHtmlBody() == "" {
			t.Errorf("%s: the HTML was not kept", d.GetEventType())
		}
	}
	one, err := h.settings.ListMacros(h.ctx(), &outboundv1.ListMacrosRequest{EventTypes: []string{"support_conference_end"}})
	if err != nil || len(one.GetDefaults()) != 1 || len(one.GetMacros()) >= len(all.GetMacros()) {
		t.Errorf("%d macros of one type, %d of all: %v", len(one.GetMacros()), len(all.GetMacros()), err)
	}
	_, err = h.settings.ListMacros(h.ctx(),
		&outboundv1.ListMacrosRequest{EventTypes: []string{"support_conference_end", "support_conference_begin", "nope"}})
	wantCode(t, err, codes.InvalidArgument)
	wantFields(t, err, "eventTypes[1]", "eventTypes[2]")
}
