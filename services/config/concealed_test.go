package config_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	canaryHeader = "canary-header-91"
	canaryMarked = "canary-marked-92"
	canaryURL    = "https://receiver.example.com/hook?token=canary-url-93&region=emea"
	shownURL     = "https://receiver.example.com/hook?token=[redacted]&region=emea"
)

// concealing is a recipient with a secret in each visible field that may have one.
func concealing() *outboundv1.Recipient {
	r := httpRecipient("R")
	r.GetHttp().Url = canaryURL
	r.GetHttp().Headers = map[string]string{"X-Api-Key": canaryHeader, "X-Customer": canaryMarked, "X-Source": "outbound"}
	r.GetHttp().SecretHeaders = []string{"x-customer"}
	return r
}

// sent is what a sender makes of the stored recipient.
func (h *fixture) sent(id string) (url string, headers map[string]string) {
	h.t.Helper()
	r, err := configclient.DecodeRecipient(h.stored(id), h.sealer)
	if err != nil {
		h.t.Fatal(err)
	}
	return r.HTTP.URL, r.HTTP.Headers
}

func (h *fixture) wantSent(headers map[string]string) {
	h.t.Helper()
	url, got := h.sent("r")
	if url != canaryURL || len(got) != len(headers) {
		h.t.Errorf("sent to %s with %q, want %q", url, got, headers)
	}
	for name, value := range headers {
		if got[name] != value {
			h.t.Errorf("%s is sent as %q, want %q", name, got[name], value)
		}
	}
}

func all() map[string]string {
	return map[string]string{"X-Api-Key": canaryHeader, "X-Customer": canaryMarked, "X-Source": "outbound"}
}

func TestSecretsOfHeadersAndURLsAreSealedShownAsSetAndKept(t *testing.T) {
	h := start(t)
	out := h.create(concealing())
	if out.GetHttp().GetUrl() != shownURL || out.GetHttp().GetHeaders()["X-Api-Key"] != credential.Concealed ||
		out.GetHttp().GetHeaders()["X-Customer"] != credential.Concealed || out.GetHttp().GetHeaders()["X-Source"] != "outbound" {
		t.Errorf("answered %v", out.GetHttp())
	}
	h.wantSent(all())
	for _, paths := range [][]string{{"display_name"}, {"http.url"}, {"http.headers"}, {"http"}, {"*"}, nil} {
		r := h.recipient("r")
		r.DisplayName += "!"
		if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask(paths...)}); err != nil {
			t.Fatalf("sent back with %v: %v", paths, err)
		}
		h.wantSent(all())
	}
	preview, err := h.admin.PreviewRecipient(h.ctx(), &outboundv1.PreviewRecipientRequest{Id: "r", Recipient: concealing()})
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.settings.ListRevisions(h.ctx(), &outboundv1.ListRevisionsRequest{Resource: "recipients/r"})
	if err != nil || len(list.GetRevisions()) < 2 {
		t.Fatalf("listed %v (%v)", list, err)
	}
	seen := ""
	for _, m := range []proto.Message{preview, list, h.recipient("r"), h.stored("r")} {
		b, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		seen += string(b)
	}
	for _, c := range []string{canaryHeader, canaryMarked, "canary-url-93"} {
		if strings.Contains(seen, c) {
			t.Errorf("%s can be read", c)
		}
	}
	if _, err := h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{
		Resource: "recipients/r", Revision: list.GetRevisions()[len(list.GetRevisions())-1].GetRevision(),
	}); err != nil {
		t.Fatal(err)
	}
	h.wantSent(all())
}

func TestWhatIsShownInPlaceOfASecretIsNotTakenForOne(t *testing.T) {
	h := start(t)
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: &outboundv1.Recipient{
		DisplayName: "R", EventTypes: []string{"support_conference_end"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: shownURL, Headers: map[string]string{
			"X-Api-Key": credential.Concealed, "X-Plain": credential.Concealed,
		}}},
	}})
	wantFields(t, err, "http.url", `http.headers["X-Api-Key"]`, `http.headers["X-Plain"]`)
	h.create(concealing())
	// Another URL needs its secret, and the headers again.
	_, err = h.move("r", "https://other.example.com/hook?token=[redacted]&region=emea", "http.url")
	wantFields(t, err, "http.url", `http.headers["X-Api-Key"]`, `http.headers["X-Customer"]`)
	// A secret header that is no longer marked is not shown.
	r := h.recipient("r")
	r.GetHttp().SecretHeaders = nil
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r})
	wantFields(t, err, `http.headers["X-Customer"]`)
	// Replaced and removed.
	r = h.recipient("r")
	r.GetHttp().Headers = map[string]string{"X-Api-Key": "other", "X-Source": "outbound"}
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r}); err != nil {
		t.Fatal(err)
	}
	h.wantSent(map[string]string{"X-Api-Key": "other", "X-Source": "outbound"})
	if n := len(h.stored("r").GetSealedSecrets()); n != 2 {
		t.Errorf("%d secrets are sealed, want the URL and one header", n)
	}
}

func TestPlainHeadersOfAnEarlierReleaseAreConcealedAndWork(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	before := h.stored("r")
	plain := concealing().GetHttp()
	before.Recipient.GetHttp().Url, before.Recipient.GetHttp().Headers = plain.GetUrl(), plain.GetHeaders()
	before.Recipient.GetHttp().SecretHeaders = []string{"X-Customer"}
	b, err := proto.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	bucket := h.bucket(bus.BucketRecipients)
	e, err := bucket.Get(h.ctx(), "r.r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Update(h.ctx(), "r.r", b, e.Revision); err != nil {
		t.Fatal(err)
	}
	h.wantSent(all())
	r := h.recipient("r")
	if r.GetHttp().GetUrl() != shownURL || r.GetHttp().GetHeaders()["X-Api-Key"] != credential.Concealed {
		t.Errorf("shown are %v", r.GetHttp())
	}
	_, err = h.move("r", elsewhere()["host"], "http.url")
	wantFields(t, err, `http.headers["X-Api-Key"]`, `http.headers["X-Customer"]`)
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: h.recipient("r")}); err != nil {
		t.Fatal(err)
	}
	h.wantSent(all())
	if s := h.stored("r"); len(s.GetSealedSecrets()) != 3 || s.GetRecipient().GetHttp().GetUrl() != shownURL {
		t.Errorf("after a save the stored recipient is %v", s.GetRecipient())
	}
}
