package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (h *fixture) preview(q *outboundv1.PreviewRecipientRequest) *outboundv1.PreviewRecipientResponse {
	h.t.Helper()
	p, err := h.admin.PreviewRecipient(h.ctx(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// accepted stores an event as ingest does: in the stream and in the log.
func (h *fixture) accepted(raw string) *event.Event {
	h.t.Helper()
	e, faults := event.Decode([]byte(raw))
	if len(faults) > 0 {
		h.t.Fatal(faults)
	}
	p, log := bus.NewPublisher(h.bus), deliverylog.New(h.bus)
	defer p.Close()
	defer log.Close()
	receipt, err := p.Accept(h.ctx(), e)
	if err != nil {
		h.t.Fatal(err)
	}
	kept := make(chan error, 1)
	log.AppendIntake(event.IntakeRecord{EventID: e.ID, Appliance: e.Appliance, Accepted: true, Sequence: receipt.Sequence,
		Time: time.Now()}, func(err error) { kept <- err })
	if err := <-kept; err != nil && !errors.Is(err, delivery.ErrAlreadyRecorded) { // a slow broker has stored it at the first try
		h.t.Fatal(err)
	}
	return e
}

func header(headers []*outboundv1.Header, name string) string {
	for _, h := range headers {
		if strings.EqualFold(h.GetName(), name) {
			return h.GetValue()
		}
	}
	return ""
}

func TestAMailIsPreviewedWithoutBeingSaved(t *testing.T) {
	h := start(t)
	if _, err := h.settings.CreateAppliance(h.ctx(),
		&outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "b1", DisplayName: "Berlin"}}); err != nil {
		t.Fatal(err)
	}
	e := h.accepted(`{"specversion":"1.0","id":"e-1","source":"b1","type":"support_conference_end","time":"2026-11-21T10:00:00Z","subject":"0a1b","data":{"external_key":"<b>&"}}`)
	r := emailRecipient("Desk")
	r.GetEmail().HtmlBody, r.GetEmail().Subject = "<p>%APPLIANCE_NAME% %EXTERNAL_KEY%</p>", "%APPLIANCE_NAME% %EXTERNAL_KEY%"
	p := h.preview(&outboundv1.PreviewRecipientRequest{Recipient: r, EventId: e.Key()})
	m := p.GetEmail()
	if !p.GetMatches() || p.GetSample() || p.GetEventId() != "b1~e-1" || m.GetSubject() != "Berlin <b>&" ||
		m.GetHtml() != "<p>Berlin &lt;b&gt;&amp;</p>" || m.GetFrom() != "" {
		t.Errorf("previewed %v", p)
	}
	read, err := mail.ReadMessage(bytes.NewReader([]byte(m.GetSource())))
	if err != nil {
		t.Fatal(err)
	}
	for name := range read.Header {
		if header(m.GetHeaders(), name) != read.Header.Get(name) {
			t.Errorf("the header %s is %q, in the source %q", name, header(m.GetHeaders(), name), read.Header.Get(name))
		}
	}
	if len(m.GetHeaders()) != len(read.Header) || read.Header.Get("X-Outbound-Event-Id") != "b1~e-1" ||
		!strings.HasPrefix(read.Header.Get("Content-Type"), "multipart/alternative") {
		t.Errorf("headers are %v", m.GetHeaders())
	}
	if list, err := h.admin.ListRecipients(h.ctx(), &outboundv1.ListRecipientsRequest{}); err != nil || list.GetTotalSize() != 0 {
		t.Errorf("%d recipients are saved: %v", list.GetTotalSize(), err)
	}
}

func TestASampleIsPreviewedOfTheTypeAskedFor(t *testing.T) {
	h := start(t)
	r := emailRecipient("Desk")
	r.EventTypes = append(r.EventTypes, "support_conference_customer_exit_survey_completed")
	id := h.create(r).GetId()
	for asked, want := range map[string]string{"": "support_conference_end",
		"support_conference_customer_exit_survey_completed": "support_conference_customer_exit_survey_completed"} {
		if p := h.preview(&outboundv1.PreviewRecipientRequest{Id: id, EventType: asked}); !p.GetSample() || p.GetEventType() != want ||
			p.GetEmail().GetText() == "" {
			t.Errorf("asked for %q: %v", asked, p)
		}
	}
	for _, asked := range []string{"nope", "support_conference_begin"} {
		_, err := h.admin.PreviewRecipient(h.ctx(), &outboundv1.PreviewRecipientRequest{Id: id, EventType: asked})
		wantFields(t, err, "eventType")
	}
}

func TestAPreviewSaysWhyARecipientWouldNotGetTheEvent(t *testing.T) {
	h := start(t)
	e := h.accepted(`{"specversion":"1.0","id":"e-1","source":"a1","type":"support_conference_end","time":"2026-11-21T10:00:00Z","data":{"n":1}}`)
	for want, change := range map[string]func(*outboundv1.Recipient){
		"":                        func(*outboundv1.Recipient) {},
		"disabled":                func(r *outboundv1.Recipient) { r.Enabled = new(false) },
		"event_type_not_selected": func(r *outboundv1.Recipient) { r.EventTypes = []string{"support_conference_rep_exit_survey_completed"} },
		"appliance_not_selected":  func(r *outboundv1.Recipient) { r.Appliances = []string{"b1"} },
		"no_external_key":         func(r *outboundv1.Recipient) { r.GetEmail().RequireExternalKey = true },
		"filter_false":            func(r *outboundv1.Recipient) { r.Filter = `vars.n == "2"` },
		"filter_error":            func(r *outboundv1.Recipient) { r.Filter = `vars.m == "2"` },
	} {
		r := emailRecipient("Desk")
		change(r)
		p := h.preview(&outboundv1.PreviewRecipientRequest{Recipient: r, EventId: e.Key()})
		if p.GetReason() != want || p.GetMatches() != (want == "") || p.GetEmail().GetSubject() == "" {
			t.Errorf("want %q: %v, %q", want, p.GetMatches(), p.GetReason())
		}
	}
}

func TestARequestIsPreviewedWithoutItsSecrets(t *testing.T) {
	h := start(t)
	r := httpRecipient("Hook")
	r.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{Token: "canary-token"}}}
	r.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{}}
	made := h.create(r)
	secret := made.GetHttp().GetSigningSecrets()[0].GetSecret()
	check := func(q *outboundv1.PreviewRecipientRequest, body string) {
		t.Helper()
		p := h.preview(q)
		got := p.GetHttp()
		if got.GetMethod() != "POST" || got.GetUrl() != "https://receiver.example.com/hook" || !strings.HasPrefix(got.GetBody(), body) ||
			!p.GetMatches() {
			t.Errorf("previewed %v", p)
		}
		for name, want := range map[string]string{
			"Host": "receiver.example.com", "Authorization": "[redacted]", "Webhook-Signature": "[generated when sent]",
			"Webhook-Timestamp": "[generated when sent]",
			"Traceparent":       "[generated when sent]", "Webhook-Id": p.GetEventId(), "Content-Length": fmt.Sprint(len(got.GetBody())),
		} {
			if have := header(got.GetHeaders(), name); have != want {
				t.Errorf("%s is %q, want %q", name, have, want)
			}
		}
		if text := p.String(); strings.Contains(text, "canary") || strings.Contains(text, strings.TrimPrefix(secret, "whsec_")) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
	check(&outboundv1.PreviewRecipientRequest{Id: made.GetId()}, "event=support_conference_begin&")
	// Not saved: secrets that are left out are the stored ones.
	made.GetHttp().Format = outboundv1.HttpRecipient_Format_JSON
	made.GetHttp().SigningSecrets[0].Secret = ""
	check(&outboundv1.PreviewRecipientRequest{Recipient: made, EventType: "support_conference_end"}, `{"data":`)
	check(&outboundv1.PreviewRecipientRequest{Id: made.GetId(), Recipient: made}, `{"data":`)
	made.Id = ""
	check(&outboundv1.PreviewRecipientRequest{Id: "hook", Recipient: made}, `{"data":`)
	if stored, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: "hook"}); err != nil ||
		stored.GetHttp().GetFormat() != outboundv1.HttpRecipient_Format_FORM {
		t.Errorf("the preview was saved: %v", err)
	}
	// Without the stored one there is no token.
	made.GetHttp().SigningSecrets = nil
	_, err := h.admin.PreviewRecipient(h.ctx(), &outboundv1.PreviewRecipientRequest{Recipient: made})
	wantFields(t, err, "http.auth.bearer.token")
}

func TestPreviewsOfWhatIsNotThere(t *testing.T) {
	h := start(t)
	id := h.create(emailRecipient("Desk")).GetId()
	for _, c := range []struct {
		q    *outboundv1.PreviewRecipientRequest
		want codes.Code
	}{
		{&outboundv1.PreviewRecipientRequest{}, codes.InvalidArgument},
		{&outboundv1.PreviewRecipientRequest{Id: "nobody"}, codes.NotFound},
		{&outboundv1.PreviewRecipientRequest{Id: "nobody", Recipient: emailRecipient("New")}, codes.NotFound},
		{&outboundv1.PreviewRecipientRequest{Id: id, EventId: "a1~nothing"}, codes.NotFound},
		{&outboundv1.PreviewRecipientRequest{Id: id, EventId: "a1~*"}, codes.InvalidArgument},
		{&outboundv1.PreviewRecipientRequest{Id: id, EventId: "no key"}, codes.InvalidArgument},
	} {
		_, err := h.admin.PreviewRecipient(h.ctx(), c.q)
		wantCode(t, err, c.want)
	}
}
