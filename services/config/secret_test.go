package config_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// canaries are secrets that must be found nowhere.
const (
	canaryPassword = "canary-password-71"
	canaryToken    = "canary-token-72"
	canaryRelay    = "canary-relay-73"
)

func basic(user, password string) *outboundv1.HttpAuth {
	return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Basic{Basic: &outboundv1.BasicAuth{Username: user, Password: password}}}
}

func bearer(token string) *outboundv1.HttpAuth {
	return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{Token: token}}}
}

// stored reads a recipient as the bucket holds it.
func (h *fixture) stored(id string) *outboundv1.StoredRecipient {
	h.t.Helper()
	e, err := h.bucket(bus.BucketRecipients).Get(h.ctx(), "r."+id)
	if err != nil {
		h.t.Fatal(err)
	}
	s := &outboundv1.StoredRecipient{}
	if err := proto.Unmarshal(e.Value, s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// opened opens a stored secret as a sender does.
func (h *fixture) opened(s *outboundv1.StoredRecipient, path string) string {
	h.t.Helper()
	plain, err := h.sealer.Open(s.GetSealedSecrets()[path], credential.SecretBinding(s.GetRecipient().GetId(), path))
	if err != nil {
		h.t.Fatalf("open %s: %v", path, err)
	}
	return string(plain)
}

func TestSecretsAreKeptSealedAndNeverAnswered(t *testing.T) {
	h := start(t)
	in := httpRecipient("R")
	in.GetHttp().Auth = basic("u", canaryPassword)
	r := h.create(in)
	if b := r.GetHttp().GetAuth().GetBasic(); b.GetPassword() != "" || !b.GetPasswordSet() {
		t.Errorf("answered %v", b)
	}
	// Absent in an update, the secret stays, whether the rest is named or replaced.
	for _, m := range [][]string{{"http.auth.basic.username"}, {"http.auth"}, {"http"}, {"*"}} {
		next, _ := proto.Clone(r).(*outboundv1.Recipient)
		next.Etag, next.GetHttp().GetAuth().GetBasic().Username = "", "v"
		if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: next, UpdateMask: mask(m...)}); err != nil {
			t.Fatal(err)
		}
		if got := h.opened(h.stored("r"), credential.SecretBasicPassword); got != canaryPassword {
			t.Errorf("after an update of %v the password is %q", m, got)
		}
	}
	// Another kind drops it, and needs one of its own.
	next := &outboundv1.Recipient{Id: "r", Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Auth: bearer("")}}}
	_, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: next, UpdateMask: mask("http.auth")})
	wantFields(t, err, "http.auth.bearer.token")
	next.GetHttp().Auth = bearer(canaryToken)
	if _, err := h.admin.UpdateRecipient(h.ctx(),
		&outboundv1.UpdateRecipientRequest{Recipient: next, UpdateMask: mask("http.auth.bearer.token")}); err != nil {
		t.Fatal(err)
	}
	s := h.stored("r")
	if len(s.GetSealedSecrets()) != 1 || h.opened(s, credential.SecretBearerToken) != canaryToken {
		t.Errorf("sealed are %d secrets", len(s.GetSealedSecrets()))
	}
	if _, err := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{
		Host: "relay.example.com", FromAddress: "o@example.com", Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: "u", Password: canaryRelay,
	}}); err != nil {
		t.Fatal(err)
	}
	h.findNoCanary()
}

// findNoCanary looks for the canaries of this file.
func (h *fixture) findNoCanary() { h.t.Helper(); h.findNone(canaryPassword, canaryToken, canaryRelay) }

// findNone looks for secrets in everything that is stored or answered.
func (h *fixture) findNone(secrets ...string) {
	h.t.Helper()
	var seen []byte
	for _, name := range []string{bus.BucketRecipients, bus.BucketSettings} {
		entries, err := h.bucket(name).All(h.ctx(), "")
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range entries {
			seen = append(append(seen, e.Key...), e.Value...)
		}
	}
	list, err := h.admin.ListRecipients(h.ctx(), &outboundv1.ListRecipientsRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	relay, err := h.settings.GetSmtpSettings(h.ctx(), &outboundv1.GetSmtpSettingsRequest{})
	if err != nil || !relay.GetPasswordSet() {
		h.t.Fatalf("the relay is %v (%v)", relay, err)
	}
	stream, err := h.watcher.WatchSettings(h.ctx(), &outboundv1.WatchSettingsRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	all, err := stream.Recv()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range []proto.Message{list, relay, all} {
		b, err := protojson.Marshal(m)
		if err != nil {
			h.t.Fatal(err)
		}
		seen = append(seen, b...)
	}
	for _, c := range secrets {
		if bytes.Contains(seen, []byte(c)) {
			h.t.Errorf("%s can be read", c)
		}
	}
}

func TestSigningSecretIsShownOnceWhenMadeByUs(t *testing.T) {
	h := start(t)
	in := httpRecipient("R")
	own := credential.FormatSigningSecret(bytes.Repeat([]byte{7}, 32))
	in.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{}, {Secret: own}}
	r := h.create(in)
	made, given := r.GetHttp().GetSigningSecrets()[0], r.GetHttp().GetSigningSecrets()[1]
	key, err := credential.ParseSigningSecret(made.GetSecret())
	if err != nil || len(key) != 32 || made.GetId() == "" || made.GetCreateTime() == nil {
		t.Errorf("made %v (%v)", made, err)
	}
	if given.GetSecret() != "" {
		t.Error("a secret that was given is shown")
	}
	again, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(again); strings.Contains(string(b), made.GetSecret()) || strings.Contains(string(b), own) {
		t.Error("a secret is shown twice")
	}
	// Sent back as it was read, with one more: the known ones stay, the new one is made.
	again.GetHttp().SigningSecrets = append(again.GetHttp().SigningSecrets, &outboundv1.SigningSecret{})
	updated, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: again})
	if err != nil {
		t.Fatal(err)
	}
	list := updated.GetHttp().GetSigningSecrets()
	if len(list) != 3 || list[0].GetSecret() != "" || list[0].GetId() != made.GetId() || list[2].GetSecret() == "" {
		t.Errorf("updated to %v", list)
	}
	s := h.stored("r")
	if h.opened(s, credential.SigningSecretPath(made.GetId())) != made.GetSecret() ||
		h.opened(s, credential.SigningSecretPath(given.GetId())) != own {
		t.Error("a known secret was changed")
	}
	// Removed from the list, it is forgotten.
	list[0].Secret, list[2].Secret = "", ""
	updated.GetHttp().SigningSecrets = list[1:2]
	updated.Etag = ""
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: updated}); err != nil {
		t.Fatal(err)
	}
	if n := len(h.stored("r").GetSealedSecrets()); n != 1 {
		t.Errorf("%d secrets are sealed, want 1", n)
	}
}
