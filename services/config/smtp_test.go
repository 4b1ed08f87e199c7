package config_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	canaryRelayClient = "canary-client-81"
	canaryRefresh     = "canary-refresh-82"
)

// byToken are settings of a relay that tokens are got for.
func byToken() *outboundv1.SmtpSettings {
	return &outboundv1.SmtpSettings{
		Host: "relay.example.com", FromAddress: "o@example.com", Auth: outboundv1.SmtpSettings_Auth_XOAUTH2, Username: "u",
		Oauth2: &outboundv1.RelayOAuth2{
			TokenUrl: "https://login.example.com/token", ClientId: "outbound", ClientSecret: canaryRelayClient, RefreshToken: canaryRefresh,
			Scopes: []string{"smtp"},
		},
	}
}

// relay changes the relay's settings.
func (h *fixture) relay(p *outboundv1.SmtpSettings, paths ...string) (*outboundv1.SmtpSettings, error) {
	return h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: p, UpdateMask: mask(paths...)})
}

// mustRelay is relay where that has to succeed.
func (h *fixture) mustRelay(p *outboundv1.SmtpSettings, paths ...string) *outboundv1.SmtpSettings {
	h.t.Helper()
	out, err := h.relay(p, paths...)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// sealedRelay is what is stored of the relay's secrets, opened as a sender does.
func (h *fixture) sealedRelay() map[string]string {
	h.t.Helper()
	e, err := h.bucket(bus.BucketSettings).Get(h.ctx(), "smtp")
	if err != nil {
		h.t.Fatal(err)
	}
	p := &outboundv1.WatchSettingsResponse{}
	if err := proto.Unmarshal(e.Value, p); err != nil {
		h.t.Fatal(err)
	}
	sealed := map[string][]byte{}
	if len(p.GetSealedSmtpPassword()) > 0 {
		sealed[credential.SecretSMTPPassword] = p.GetSealedSmtpPassword()
	}
	for path, b := range p.GetSealedSmtpSecrets() {
		sealed[path] = b
	}
	out := map[string]string{}
	for path, b := range sealed {
		plain, err := h.sealer.Open(b, path)
		if err != nil {
			h.t.Fatalf("open %s: %v", path, err)
		}
		out[path] = string(plain)
	}
	return out
}

func TestRelaySettingsAreCheckedFieldByField(t *testing.T) {
	h := start(t)
	for name, c := range map[string]struct {
		change func(*outboundv1.SmtpSettings)
		fields []string
	}{
		"neither token nor way to one": {func(p *outboundv1.SmtpSettings) { p.Oauth2 = nil }, []string{"password"}},
		"oauth2 without use": {func(p *outboundv1.SmtpSettings) { p.Auth, p.Password = outboundv1.SmtpSettings_Auth_PLAIN, "x" },
			[]string{"oauth2", "password"}},
		"oauth2 without signing in":   {func(p *outboundv1.SmtpSettings) { p.Auth = outboundv1.SmtpSettings_Auth_NONE }, []string{"oauth2"}},
		"a token and a way to others": {func(p *outboundv1.SmtpSettings) { p.Password = "x" }, []string{"password"}},
		"nothing to ask with": {func(p *outboundv1.SmtpSettings) { p.Oauth2.ClientSecret, p.Oauth2.RefreshToken = "", "" },
			[]string{"oauth2.clientSecret"}},
		"token in the clear": {func(p *outboundv1.SmtpSettings) { p.Oauth2.TokenUrl = "http://login.example.com/token" },
			[]string{"oauth2.tokenUrl"}},
		"no URL": {func(p *outboundv1.SmtpSettings) { p.Oauth2.TokenUrl = "login" }, []string{"oauth2.tokenUrl"}},
		"a password in the URL": {func(p *outboundv1.SmtpSettings) { p.Oauth2.TokenUrl = "https://a:b@login.example.com/" },
			[]string{"oauth2.tokenUrl"}},
		"no client and scopes": {func(p *outboundv1.SmtpSettings) { p.Oauth2.ClientId, p.Oauth2.Scopes = "", []string{"a", "b c"} },
			[]string{"oauth2.clientId", "oauth2.scopes[1]"}},
		"token unencrypted": {func(p *outboundv1.SmtpSettings) { p.Encryption = outboundv1.SmtpSettings_Encryption_NONE }, []string{"auth"}},
		"hello":             {func(p *outboundv1.SmtpSettings) { p.HelloName = "outbound" }, []string{"helloName"}},
		"hello of dots":     {func(p *outboundv1.SmtpSettings) { p.HelloName = "a..b" }, []string{"helloName"}},
		"connections":       {func(p *outboundv1.SmtpSettings) { p.MaxConnections = 21 }, []string{"maxConnections"}},
		"rate":              {func(p *outboundv1.SmtpSettings) { p.RateLimit = &outboundv1.RateLimit{} }, []string{"rateLimit.limit"}},
		"a notice to nobody": {func(p *outboundv1.SmtpSettings) { p.DailyNotice = &outboundv1.DailyNotice{Enabled: true} },
			[]string{"dailyNotice"}},
		"a time that is no time": {func(p *outboundv1.SmtpSettings) { p.DailyNotice = &outboundv1.DailyNotice{Time: "8:00"} },
			[]string{"dailyNotice.time"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := byToken()
			c.change(p)
			_, err := h.relay(p)
			wantFields(t, err, c.fields...)
		})
	}
	p := byToken()
	p.Oauth2.TokenUrl = "http://127.0.0.1:4000/token"
	p.HelloName, p.RateLimit, p.MaxConnections = "outbound.example.com", &outboundv1.RateLimit{Limit: 30}, 7
	p.AdminContacts, p.DailyNotice = []string{"a@example.com"}, &outboundv1.DailyNotice{Enabled: true}
	out := h.mustRelay(p)
	if out.GetHelloName() != "outbound.example.com" || out.GetRateLimit().GetPeriod().AsDuration().Seconds() != 1 ||
		out.GetMaxConnections() != 7 || out.GetDailyNotice().GetTime() != "08:00" {
		t.Errorf("stored %v", out)
	}
	if out := h.mustRelay(&outboundv1.SmtpSettings{}, "max_connections"); out.GetMaxConnections() != settings.DefaultMaxConnections {
		t.Errorf("unset, there are %d connections", out.GetMaxConnections())
	}
}

func TestWhatTokensAreGotWithIsSealedAndKept(t *testing.T) {
	h := start(t)
	out := h.mustRelay(byToken())
	if o := out.GetOauth2(); o.GetClientSecret() != "" || o.GetRefreshToken() != "" || !o.GetClientSecretSet() ||
		!o.GetRefreshTokenSet() || out.GetPasswordSet() {
		t.Errorf("answered %v", out)
	}
	both := map[string]string{credential.SecretRelayClient: canaryRelayClient, credential.SecretRelayRefresh: canaryRefresh}
	is := func(want map[string]string) {
		t.Helper()
		got := h.sealedRelay()
		for path, plain := range want {
			if got[path] != plain {
				t.Errorf("%s is %q", path, got[path])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d secrets are stored, want %d", len(got), len(want))
		}
	}
	is(both)
	out.Etag, out.Oauth2.ClientId = "", "other"
	for _, m := range [][]string{{"oauth2.client_id"}, {"oauth2"}, {"*"}} {
		h.mustRelay(out, m...)
		is(both)
	}
	h.mustRelay(&outboundv1.SmtpSettings{Oauth2: &outboundv1.RelayOAuth2{RefreshToken: "canary-second-83"}}, "oauth2.refresh_token")
	is(map[string]string{credential.SecretRelayClient: canaryRelayClient, credential.SecretRelayRefresh: "canary-second-83"})
	// Another way to sign in has no use for them.
	h.mustRelay(&outboundv1.SmtpSettings{Auth: outboundv1.SmtpSettings_Auth_PLAIN, Password: canaryRelay}, "auth", "password")
	is(map[string]string{credential.SecretSMTPPassword: canaryRelay})
	h.findNone(canaryRelayClient, canaryRefresh, canaryRelay, "canary-second-83")
}

func TestAStoredSecretDoesNotGoToAnotherHost(t *testing.T) {
	h := start(t)
	h.mustRelay(byToken())
	const tokenURL = "https://other.example.com/token"
	_, err := h.relay(&outboundv1.SmtpSettings{Oauth2: &outboundv1.RelayOAuth2{TokenUrl: tokenURL}}, "oauth2.token_url")
	wantFields(t, err, "oauth2.clientSecret", "oauth2.refreshToken")
	_, err = h.relay(&outboundv1.SmtpSettings{Host: "other.example.com"}, "host")
	wantFields(t, err, "oauth2.clientSecret", "oauth2.refreshToken")
	h.mustRelay(&outboundv1.SmtpSettings{Oauth2: &outboundv1.RelayOAuth2{TokenUrl: "https://login.example.com/v2/token"}}, "oauth2.token_url")
	given := &outboundv1.RelayOAuth2{TokenUrl: tokenURL, ClientSecret: "c", RefreshToken: "r"}
	h.mustRelay(&outboundv1.SmtpSettings{Oauth2: given}, "oauth2.token_url", "oauth2.client_secret", "oauth2.refresh_token")

	h.mustRelay(&outboundv1.SmtpSettings{Auth: outboundv1.SmtpSettings_Auth_PLAIN, Password: canaryRelay}, "auth", "password")
	_, err = h.relay(&outboundv1.SmtpSettings{Host: "other.example.com"}, "host")
	wantFields(t, err, "password")
	// Nor by way of none.
	h.mustRelay(&outboundv1.SmtpSettings{}, "host")
	_, err = h.relay(&outboundv1.SmtpSettings{Host: "other.example.com"}, "host")
	wantFields(t, err, "password")
	h.mustRelay(&outboundv1.SmtpSettings{Host: "RELAY.example.com", Password: "again"}, "host", "password")
	_, err = h.relay(&outboundv1.SmtpSettings{Host: "relay.example.com", Port: 2525}, "host", "port")
	wantFields(t, err, "password")
	if got := h.sealedRelay()[credential.SecretSMTPPassword]; got != "again" {
		t.Errorf("the password is %q", got)
	}
}
