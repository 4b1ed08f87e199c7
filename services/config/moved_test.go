package config_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
)

// followers are recipients with one kind of secret each: the field that has to be sent again, and how.
func followers(t *testing.T) map[string]struct {
	with  func(*outboundv1.HttpRecipient)
	field string
	again func(*outboundv1.HttpRecipient)
} {
	certificate, key := certified(t, newKey(t), nil)
	signing := credential.FormatSigningSecret(bytes.Repeat([]byte{9}, 32))
	auth := func(a *outboundv1.HttpAuth) func(*outboundv1.HttpRecipient) {
		return func(h *outboundv1.HttpRecipient) { h.Auth, _ = proto.Clone(a).(*outboundv1.HttpAuth) }
	}
	type kind = struct {
		with  func(*outboundv1.HttpRecipient)
		field string
		again func(*outboundv1.HttpRecipient)
	}
	apiKey := &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ApiKey{ApiKey: &outboundv1.ApiKeyAuth{Header: "X-Key", Value: canaryToken}}}
	oauth2 := withOAuth2(&outboundv1.OAuth2ClientCredentials{
		TokenUrl: "https://login.example.com/token", ClientId: "c", ClientSecret: canaryClient,
	})
	return map[string]kind{
		"basic":   {auth(basic("u", canaryPassword)), "http.auth.basic.password", auth(basic("u", canaryPassword))},
		"bearer":  {auth(bearer(canaryToken)), "http.auth.bearer.token", auth(bearer(canaryToken))},
		"api key": {auth(apiKey), "http.auth.apiKey.value", auth(apiKey)},
		"oauth2":  {auth(oauth2), "http.auth.oauth2.clientSecret", auth(oauth2)},
		"client certificate": {auth(withCertificate(certificate, key)), "http.auth.clientCertificate.privateKeyPem",
			auth(withCertificate(certificate, key))},
		"signing secret": {
			func(h *outboundv1.HttpRecipient) { h.SigningSecrets = []*outboundv1.SigningSecret{{Secret: signing}} },
			"http.signingSecrets[0].secret",
			func(h *outboundv1.HttpRecipient) { h.SigningSecrets[0].Secret = signing },
		},
	}
}

// elsewhere are the URLs that a stored secret does not follow, and those that it stays with.
const home = "https://receiver.example.com/hook"

func elsewhere() map[string]string {
	return map[string]string{
		"host": "https://other.example.com/hook", "subdomain": "https://a.receiver.example.com/hook",
		"scheme": "http://receiver.example.com/hook",
		"port":   "https://receiver.example.com:8443/hook", "address": "https://93.184.215.14/hook",
	}
}

func TestStoredSecretsDoNotFollowAnotherURL(t *testing.T) {
	h := start(t, func(o *config.Options) { o.URLPolicy = string(recipient.AnyURL) })
	covered := map[string]bool{}
	for kind, k := range followers(t) {
		covered[k.field] = true
		in := httpRecipient(kind)
		k.with(in.GetHttp())
		r := h.create(in)
		for name, u := range elsewhere() {
			if kind == "client certificate" && name == "scheme" {
				continue // is refused without TLS anyway
			}
			t.Run(kind+" "+name, func(t *testing.T) { h.asksAgain(t, r.GetId(), u, k.field) })
		}
		for _, same := range []string{home + "/2", "https://RECEIVER.example.com:443/hook", home + "?a=b", home} {
			if _, err := h.move(r.GetId(), same, "http.url"); err != nil {
				t.Errorf("%s does not stay at %s: %v", kind, same, err)
			}
		}
		// Given again, it goes along.
		next := h.recipient(r.GetId())
		next.GetHttp().Url = elsewhere()["host"]
		k.again(next.GetHttp())
		if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: next}); err != nil {
			t.Errorf("%s, given again: %v", kind, err)
		}
		// Removed, nothing is asked.
		next = h.recipient(r.GetId())
		next.GetHttp().Url, next.GetHttp().Auth, next.GetHttp().SigningSecrets = home, nil, nil
		if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: next}); err != nil {
			t.Errorf("%s, removed: %v", kind, err)
		}
	}
	for _, field := range secretFields((&outboundv1.HttpRecipient{}).ProtoReflect().Descriptor(), "http") {
		if !covered[strings.ReplaceAll(field, "[]", "[0]")] {
			t.Errorf("no recipient of this test has the secret %s", field)
		}
	}
}

// secretFields are the paths of all secrets of a message.
func secretFields(m protoreflect.MessageDescriptor, path string) (out []string) {
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		at := strings.TrimPrefix(path+"."+fd.JSONName(), ".")
		if fd.IsList() {
			at += "[]"
		}
		options, _ := fd.Options().(*descriptorpb.FieldOptions)
		switch {
		case options.GetDebugRedact():
			out = append(out, at)
		case fd.Message() != nil && !fd.IsMap() && fd.Message().ParentFile().Package() == "outbound.v1":
			out = append(out, secretFields(fd.Message(), at)...)
		}
	}
	return out
}

func (h *fixture) recipient(id string) *outboundv1.Recipient {
	h.t.Helper()
	r, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: id})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// move gives a stored recipient another URL, as it was read.
func (h *fixture) move(id, url string, paths ...string) (*outboundv1.Recipient, error) {
	r := h.recipient(id)
	r.GetHttp().Url = url
	return h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask(paths...)})
}

// asksAgain checks that each way to another URL names the secret and changes nothing.
func (h *fixture) asksAgain(t *testing.T, id, url, field string) {
	before := h.stored(id)
	for _, paths := range [][]string{{"http.url"}, {"http"}, {"*"}, nil} {
		_, err := h.move(id, url, paths...)
		wantAsked(t, err, field)
	}
	r := h.recipient(id)
	r.GetHttp().Url = url
	_, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r, ValidateOnly: true})
	wantAsked(t, err, field)
	_, err = h.admin.PreviewRecipient(h.ctx(), &outboundv1.PreviewRecipientRequest{Id: id, Recipient: r})
	wantAsked(t, err, field)
	checked, err := h.settings.CheckChanges(h.ctx(), &outboundv1.CheckChangesRequest{Changes: []*outboundv1.PlannedChange{{
		Call: &outboundv1.PlannedChange_UpdateRecipient{UpdateRecipient: &outboundv1.UpdateRecipientRequest{
			Recipient: r, UpdateMask: mask("http.url"),
		}},
	}}})
	if err != nil || codes.Code(checked.GetResults()[0].GetCode()) != codes.InvalidArgument { //nolint:gosec // a status code
		t.Errorf("apply is told %v (%v)", checked, err)
	}
	if !proto.Equal(before, h.stored(id)) {
		t.Error("the recipient was changed")
	}
}

func wantAsked(t *testing.T, err error, fields ...string) {
	t.Helper()
	var got []string
	for _, v := range rpc.ViolationsOf(err) {
		got = append(got, v.Field)
		if !strings.Contains(v.Description, "again") || !strings.Contains(v.Description, "remove") {
			t.Errorf("%s does not say what to do: %s", v.Field, v.Description)
		}
	}
	slices.Sort(got)
	slices.Sort(fields)
	if status.Code(err) != codes.InvalidArgument || !slices.Equal(got, fields) {
		t.Errorf("asked for %q, want %q: %v", got, fields, err)
	}
}

func TestAClientSecretDoesNotFollowAnotherTokenURL(t *testing.T) {
	h := start(t, func(o *config.Options) { o.URLPolicy = string(recipient.AnyURL) })
	in := httpRecipient("r")
	k := &outboundv1.OAuth2ClientCredentials{TokenUrl: "https://login.example.com/token", ClientId: "c", ClientSecret: canaryClient}
	in.GetHttp().Auth = withOAuth2(k)
	h.create(in)
	for _, u := range []string{"https://evil.example.com/token", "http://login.example.com/token", "https://login.example.com:444/token"} {
		next, _ := proto.Clone(k).(*outboundv1.OAuth2ClientCredentials)
		next.TokenUrl, next.ClientSecret = u, ""
		_, err := h.setAuth(withOAuth2(next))
		wantAsked(t, err, "http.auth.oauth2.clientSecret")
		next.ClientSecret = canaryClient
		if _, err := h.setAuth(withOAuth2(next)); err != nil {
			t.Error(err)
		}
		if _, err := h.setAuth(withOAuth2(k)); err != nil {
			t.Error(err)
		}
	}
	next, _ := proto.Clone(k).(*outboundv1.OAuth2ClientCredentials)
	next.TokenUrl, next.ClientSecret = "https://login.example.com/other", ""
	if _, err := h.setAuth(withOAuth2(next)); err != nil {
		t.Error(err)
	}
}

func TestSecretsOfTheRelayDoNotFollowAnotherRelay(t *testing.T) {
	h := start(t)
	covered := map[string]bool{}
	plain := &outboundv1.SmtpSettings{Host: "relay.example.com", FromAddress: "o@example.com", Username: "u", Password: canaryRelay,
		Auth: outboundv1.SmtpSettings_Auth_CRAM_MD5}
	for name, c := range map[string]struct {
		stored *outboundv1.SmtpSettings
		fields []string
	}{
		"password": {plain, []string{"password"}},
		"tokens":   {byToken(), []string{"oauth2.clientSecret", "oauth2.refreshToken"}},
	} {
		for _, f := range c.fields {
			covered[f] = true
		}
		p := h.mustRelay(c.stored)
		ways := map[string]*outboundv1.SmtpSettings{
			"host": {Host: "other.example.com"}, "port": {Port: 2525}, "no relay first": {Host: ""},
			"encryption": {Encryption: outboundv1.SmtpSettings_Encryption_NONE},
		}
		if c.stored.GetOauth2() != nil {
			delete(ways, "encryption") // is refused without encryption anyway
			o, _ := proto.Clone(p.GetOauth2()).(*outboundv1.RelayOAuth2)
			o.TokenUrl = "https://evil.example.com/token"
			ways["oauth2"] = &outboundv1.SmtpSettings{Oauth2: o}
		}
		for field, change := range ways {
			path := field
			if field == "no relay first" {
				h.mustRelay(&outboundv1.SmtpSettings{}, "host")
				path, change = "host", &outboundv1.SmtpSettings{Host: "other.example.com"}
			}
			t.Run(fmt.Sprintf("%s %s", name, field), func(t *testing.T) {
				_, err := h.relay(change, path)
				wantAsked(t, err, c.fields...)
			})
			h.mustRelay(c.stored)
		}
		same := &outboundv1.SmtpSettings{Host: "RELAY.example.com", Port: 587}
		if _, err := h.relay(same, "host", "port"); err != nil {
			t.Errorf("%s does not stay: %v", name, err)
		}
	}
	for _, field := range secretFields((&outboundv1.SmtpSettings{}).ProtoReflect().Descriptor(), "") {
		if !covered[field] {
			t.Errorf("no relay of this test has the secret %s", field)
		}
	}
}

func TestARollBackRestoresSecretsWithTheirAddress(t *testing.T) {
	h := start(t)
	in := httpRecipient("r")
	in.GetHttp().Auth = bearer(canaryToken)
	h.create(in)
	next := h.recipient("r")
	next.GetHttp().Url, next.GetHttp().Auth = elsewhere()["host"], bearer("another-token")
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: next}); err != nil {
		t.Fatal(err)
	}
	list, err := h.settings.ListRevisions(h.ctx(), &outboundv1.ListRevisionsRequest{Resource: "recipients/r"})
	if err != nil || len(list.GetRevisions()) != 2 {
		t.Fatalf("listed %v (%v)", list, err)
	}
	if _, err := h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{
		Resource: "recipients/r", Revision: list.GetRevisions()[1].GetRevision(),
	}); err != nil {
		t.Fatal(err)
	}
	s := h.stored("r")
	if s.GetRecipient().GetHttp().GetUrl() != home || h.opened(s, credential.SecretBearerToken) != canaryToken {
		t.Errorf("restored %v", s.GetRecipient())
	}
}
