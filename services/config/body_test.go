package config_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// bodyWarnings are the warnings about how bodies are written.
func bodyWarnings(r *outboundv1.Recipient) (out string) {
	for _, w := range r.GetWarnings() {
		if strings.HasPrefix(w, "http.format") || strings.HasPrefix(w, "http.body") {
			out += w
		}
	}
	return out
}

func TestContentTypesAreChecked(t *testing.T) {
	h := start(t)
	const form, json, binary = outboundv1.HttpRecipient_Format_FORM, outboundv1.HttpRecipient_Format_JSON,
		outboundv1.HttpRecipient_Format_JSON_BINARY
	for i, c := range []struct {
		format      outboundv1.HttpRecipient_Format_Kind
		contentType string
		template    string
		says        string
	}{
		{form, "application/x-www-form-urlencoded", "", ""},
		{form, "application/x-www-form-urlencoded; charset=UTF-8", "", ""},
		{form, "application/x-www-form-urlencoded; charset=ISO-8859-1", "", "bodies are in UTF-8"},
		{form, "application/json", "", "is not one of a body in the format FORM"},
		{form, "form", "", "is not a content type"},
		{json, "application/json", "", ""},
		{json, "application/vnd.example+json; v=1", "", ""},
		{json, "application/x-www-form-urlencoded", "", "is not one of a body in JSON"},
		{binary, "application/json; charset=utf-8", "", ""},
		{form, "application/x-www-form-urlencoded", "{}", "use http.bodyContentType"},
	} {
		r := httpRecipient(fmt.Sprint("T", i))
		r.GetHttp().Format, r.GetHttp().ContentType, r.GetHttp().BodyTemplate = c.format, c.contentType, c.template
		_, err := h.save(r)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", c.contentType, err)
			}
			continue
		}
		wantFields(t, err, "http.contentType")
		if got := rpc.ViolationsOf(err)[0].Description; !strings.Contains(got, c.says) {
			t.Errorf("%s is described as %q, want %q", c.contentType, got, c.says)
		}
	}
}

func TestBodiesOfOnesOwnAreCheckedAtSave(t *testing.T) {
	h := start(t)
	if _, err := h.settings.CreateCustomField(h.ctx(),
		&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: "Region", CodeName: "region"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ template, contentType, field, says string }{
		{`{{.Event.Type`, "", "http.bodyTemplate", "body:1: unclosed action"},
		{`{{printf "%s" .Event.Type}}`, "", "http.bodyTemplate", "the function printf is not supported"},
		{`{{.Event.Kind}}`, "", "http.bodyTemplate", "fails for an example of support_conference_begin: body:1"},
		{`{{if eq .Event.Type "support_conference_end"}}{{date "2006" .Vars.duration}}{{end}}`, "", "http.bodyTemplate",
			"fails for an example of support_conference_end: "},
		{`{{if .Custom.region}}{{.Custom.region.x}}{{end}}`, "", "http.bodyTemplate", "fails for an example of support_conference_begin"},
		{`{}`, "text/plain; charset=utf-8", "", ""},
		{`{}`, "json", "http.bodyContentType", "is not a content type"},
		{`{}`, "a b/c;;", "http.bodyContentType", "is not a content type"},
		{``, "application/json", "http.bodyContentType", "http.bodyTemplate is empty: use http.contentType"},
	} {
		r := httpRecipient("T" + c.template + c.contentType)
		r.GetHttp().BodyTemplate, r.GetHttp().BodyContentType, r.GetHttp().SendCustomFields = c.template, c.contentType, true
		r.DisplayName = "T"
		_, err := h.save(r)
		if c.field == "" {
			if err != nil {
				t.Errorf("%s: %v", c.template, err)
			}
			continue
		}
		wantFields(t, err, c.field)
		if got := rpc.ViolationsOf(err)[0].Description; !strings.Contains(got, c.says) {
			t.Errorf("%s is described as %q, want %q", c.template, got, c.says)
		}
	}
	r := httpRecipient("Chat")
	r.GetHttp().BodyTemplate = `{"text":{{json .Event.Type}},"duration":{{default "0" .Vars.duration}},"region":{{json .Custom.region}}}`
	saved := h.create(r)
	if saved.GetHttp().GetBodyTemplate() != r.GetHttp().GetBodyTemplate() || bodyWarnings(saved) != "" {
		t.Errorf("saved %v", saved)
	}
	saved, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{Id: "chat",
			Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Format: outboundv1.HttpRecipient_Format_JSON_BINARY}}},
		UpdateMask: mask("http.format"),
	})
	if err != nil || !strings.HasPrefix(bodyWarnings(saved), "http.format is not used") {
		t.Errorf("warned %q (%v)", saved.GetWarnings(), err)
	}
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{Id: "chat",
			Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{BodyTemplate: `{{.Vars.a.b}}`}}},
		UpdateMask: mask("http.body_template"),
	})
	wantCode(t, err, codes.InvalidArgument)
}
