package recipients_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// form is the recipient form.
const form = "recipient-form"

func TestEveryFieldOfARecipientHasAFieldInItsForm(t *testing.T) {
	b := newFixture(fullHTTP(), fullEmail()).open(t).As("operator")
	all := consoletest.FieldsOf(&outboundv1.Recipient{})
	if len(all) < 50 {
		t.Fatalf("only %d fields were found: %v", len(all), all)
	}
	for channel, pages := range map[string][]string{"http": {"/recipients/new?channel=http", "/recipients/full-http"},
		"email": {"/recipients/new?channel=email", "/recipients/full-email"}} {
		for _, path := range pages {
			page := b.Get(path)
			if page.Status != http.StatusOK {
				t.Fatalf("%s: %d %s", path, page.Status, page.Body)
			}
			for _, name := range all {
				if of, _, below := strings.Cut(name, "."); below && of != channel {
					continue
				}
				if !page.HasField(name) {
					t.Errorf("%s has no field for %s", path, name)
				}
			}
		}
	}
}

func fullHTTP() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: "full-http", DisplayName: "Full " + hostile, Enabled: proto.Bool(false), WhileDisabled: outboundv1.Recipient_WhileDisabled_HOLD,
		EventTypes: []string{"begin", "gone_from_the_catalogue"}, Appliances: []string{"a1", "unknown-1", "unknown-2"},
		Filter: "event.type == \"x\" &&\nvars.a != \"\"",
		MaintenanceWindows: []*outboundv1.MaintenanceWindow{
			{TimeZone: "Europe/Berlin", DrainRate: 20, When: &outboundv1.MaintenanceWindow_Weekly_{Weekly: &outboundv1.MaintenanceWindow_Weekly{
				Days: []outboundv1.MaintenanceWindow_Weekday_Day{outboundv1.MaintenanceWindow_Weekday_SATURDAY,
					outboundv1.MaintenanceWindow_Weekday_SUNDAY},
				Start: "22:00", Duration: durationpb.New(6 * time.Hour)}}},
			{TimeZone: "Europe/Berlin", When: &outboundv1.MaintenanceWindow_Once_{Once: &outboundv1.MaintenanceWindow_Once{
				StartTime: timestamppb.New(time.Date(2030, 10, 27, 0, 30, 0, 0, time.UTC)),
				EndTime:   timestamppb.New(time.Date(2030, 10, 27, 0, 45, 0, 0, time.UTC))}}},
		},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "https://x.example/?a=1&b=2", CaCertificatePem: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			SendCustomFields: true,
			RetryInterval:    durationpb.New(1500 * time.Millisecond), RetryDuration: durationpb.New(25*time.Hour + 30*time.Minute),
			Timeout: durationpb.New(7 * time.Second),
			Backoff: &outboundv1.Backoff{Multiplier: 1.5, Ceiling: durationpb.New(time.Hour)},
			Contact: &outboundv1.Contact{Addresses: []string{"a@example.com", "b@example.com"}, AlertAfter: durationpb.New(0),
				ResendEvery: durationpb.New(time.Hour)},
			Format: outboundv1.HttpRecipient_Format_JSON_BINARY, Success: outboundv1.HttpRecipient_Success_ANY_2XX,
			Order:   outboundv1.HttpRecipient_Order_STRICT,
			Headers: map[string]string{"X-One": hostile, "X-Two": "2"}, MaxInFlight: 3, StopOnGone: true,
			BodyTemplate: "{\n  \"a\": {{json .Event.Type}}\n}\n", BodyContentType: "text/x",
			RateLimit: &outboundv1.RateLimit{Limit: 5, Period: durationpb.New(time.Minute)},
			Auth: &outboundv1.HttpAuth{
				Kind: &outboundv1.HttpAuth_Oauth2{Oauth2: &outboundv1.OAuth2ClientCredentials{TokenUrl: "https://t.example", ClientId: "c",
					Scopes: []string{"one", "two"}, Parameters: []*outboundv1.OAuth2Parameter{{Name: "audience", Value: "https://a.example/?x=1,2"},
						{Name: "resource", Value: hostile}, {Name: "resource", Value: ""}}}},
			},
			SigningSecrets: []*outboundv1.SigningSecret{
				{Id: "ss-1", Kind: outboundv1.SigningSecret_HMAC_SHA256, ExpireTime: timestamppb.New(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))},
				{Id: "ss-2", Kind: outboundv1.SigningSecret_ED25519},
			},
		}},
	}
}

func fullEmail() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: "full-email", DisplayName: "Mail", Enabled: proto.Bool(true), WhileDisabled: outboundv1.Recipient_WhileDisabled_SKIP,
		EventTypes: []string{"end", "own"},
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{
			Addresses: []string{"a@example.com", "b@example.com", "c@example.com"}, RequireExternalKey: true, Subject: hostile,
			Body: "Line one\n\n  line two " + hostile + "\n", HtmlBody: "<p>\n" + hostile + "</p>",
			Overrides: map[string]*outboundv1.MailText{"end": {Subject: "Ended", Body: "one\ntwo"}, "own": {HtmlBody: "<b>x</b>"}},
		}},
	}
}

// sent clears the fields that only the server sets.
func sent(r *outboundv1.Recipient) *outboundv1.Recipient {
	out, _ := proto.Clone(r).(*outboundv1.Recipient)
	out.UpdateTime, out.CreateTime = nil, nil
	return out
}

func TestSavingAnUnchangedFormChangesNothing(t *testing.T) {
	auths := []*outboundv1.HttpAuth{
		nil,
		{Kind: &outboundv1.HttpAuth_Basic{Basic: &outboundv1.BasicAuth{Username: "me"}}},
		{Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{}}},
		{Kind: &outboundv1.HttpAuth_ApiKey{ApiKey: &outboundv1.ApiKeyAuth{Header: "X-Key"}}},
		{Kind: &outboundv1.HttpAuth_ClientCertificate{ClientCertificate: &outboundv1.ClientCertificate{CertificatePem: "-----BEGIN " +
			"CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"}}},
	}
	all := []*outboundv1.Recipient{fullHTTP(), fullEmail(), {
		Id: "plain", DisplayName: "Plain", Enabled: proto.Bool(true), WhileDisabled: outboundv1.Recipient_WhileDisabled_SKIP,
		EventTypes: []string{"begin"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "https://x", Format: outboundv1.HttpRecipient_Format_FORM, Success: outboundv1.HttpRecipient_Success_HTTP_200,
			Order: outboundv1.HttpRecipient_Order_NONE,
		}},
	}}
	for i, a := range auths {
		r := fullHTTP()
		r.Id, r.GetHttp().Auth = "auth-"+string(rune('a'+i)), a
		all = append(all, r)
	}
	h := newFixture(all...)
	h.appliances = []*outboundv1.Appliance{{Id: "a1", DisplayName: hostile}, {Id: "a2"}}
	b := h.open(t).As("operator")
	for _, r := range all {
		before := h.find(r.GetId())
		answer := b.Post("/recipients/"+r.GetId(), b.Get("/recipients/"+r.GetId()).FormOf(t, form))
		if answer.Status != http.StatusSeeOther {
			t.Errorf("%s is not saved: %d %s", r.GetId(), answer.Status, answer.Body)
			continue
		}
		if got := last[*outboundv1.UpdateRecipientRequest](t, h).GetRecipient(); !proto.Equal(got, sent(before)) {
			t.Errorf("%s was\n%v\nand was saved as\n%v", r.GetId(), sent(before), got)
		}
	}
}

func TestFormInputIsSaved(t *testing.T) {
	h := newFixture()
	b := h.open(t).As("operator")
	f := b.Get("/recipients/new?channel=http").FormOf(t, form)
	for name, value := range map[string]string{
		"displayName": "CRM", "http.url": "https://crm.example", "http.retryInterval": "2 min", "http.retryDuration": "1 h 30 min",
		"eventTypes": "begin", "appliances": "a1, a2",
		"http.headers.name": "X-A", "http.headers.value": "b", "http.auth.kind": "basic", "http.auth.basic.username": "me",
		"http.auth.basic.password": " with blanks ",
		"http.signingSecrets.kind": "ED25519", "http.signingSecrets.expireTime": "24 h", "http.rateLimit.limit": "10",
	} {
		f.Set(name, value)
	}
	answer := b.Post("/recipients", f)
	if answer.Status != http.StatusOK || !strings.Contains(answer.Body, "whsec_shown_once") {
		t.Fatalf("the secret that was made is not shown: %d %s", answer.Status, answer.Body)
	}
	got := last[*outboundv1.Recipient](t, h)
	http := got.GetHttp()
	if http.GetRetryInterval().AsDuration() != 2*time.Minute || http.GetRetryDuration().AsDuration() != 90*time.Minute ||
		http.GetAuth().GetBasic().GetPassword() != " with blanks " ||
		!slices.Equal(got.GetAppliances(), []string{"a1", "a2"}) || http.GetHeaders()["X-A"] != "b" || len(http.GetSigningSecrets()) != 1 ||
		http.GetRateLimit().GetLimit() != 10 || http.GetBackoff() != nil {
		t.Errorf("saved as %v", got)
	}
	if end := time.Until(http.GetSigningSecrets()[0].GetExpireTime().AsTime()); end < 23*time.Hour || end > 24*time.Hour {
		t.Errorf("the secret ends in %s, want 24 h", end)
	}
	if again := b.Get("/recipients/made"); strings.Contains(again.Body, "whsec_shown_once") {
		t.Error("the secret is shown again")
	}
}

func TestErrorsKeepTheInputAndShowFaults(t *testing.T) {
	h := newFixture()
	b := h.open(t).As("operator")
	f := b.Get("/recipients/new?channel=http").FormOf(t, form)
	typed := map[string]string{
		"displayName": hostile, "eventTypes": "begin", "http.url": "ftp://x", "http.retryInterval": "5 min", "filter": "x == 1",
		"http.headers.name": "X-A", "http.headers.value": "1", "http.auth.kind": "apiKey",
		"http.auth.apiKey.header": "X-Key", "http.auth.apiKey.value": "top secret", "http.backoff": "true", "http.backoff.multiplier": "3",
		"http.signingSecrets.kind": "ED25519",
	}
	for name, value := range typed {
		f.Set(name, value)
	}
	answer := b.Post("/recipients", f)
	if answer.Status != http.StatusUnprocessableEntity {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	if !strings.Contains(answer.Body, `id="f-http-url-fault">Must be https.`) ||
		!strings.Contains(answer.Body, `<p class="fault">Is empty.</p>`) {
		t.Errorf("the faults are not beside their fields: %s", answer.Body)
	}
	shown := answer.FormOf(t, form)
	delete(typed, "http.auth.apiKey.value")
	for name, value := range typed {
		if shown.Get(name) != value {
			t.Errorf("%s is %q, and %q was typed", name, shown.Get(name), value)
		}
	}
	if strings.Contains(answer.Body, "top secret") || strings.Contains(answer.Body, "<script>alert") {
		t.Error("a secret is sent back, or hostile text is markup")
	}
	// The rules of the contract name fields of the request; their violations are shown beside the fields of the form.
	f.Set("displayName", strings.Repeat("long", 100))
	f.Set("http.contact.addresses", strings.Repeat("a@example.com\n", 1)+strings.Repeat("x", 400)+"@example.com")
	long := b.Post("/recipients", f).Body
	for _, want := range []string{`<a href="#f-displayName">Name</a>: `, `id="f-displayName-fault"`,
		`<a href="#f-http-contact-addresses">Contact</a>: `, `id="f-http-contact-addresses-fault"`} {
		if !strings.Contains(long, want) || strings.Contains(long, "recipient.displayName") || strings.Contains(long, "recipient.http") {
			t.Errorf("there is no %q, or the API's paths are shown: %s", want, long)
		}
	}
	f.Set("displayName", "Short")
	f.Set("http.contact.addresses", "")
	f.Set("http.retryInterval", "a fortnight")
	if answer := b.Post("/recipients", f); !strings.Contains(answer.Body, "not a duration") ||
		!strings.Contains(answer.Body, `value="a fortnight"`) {
		t.Errorf("an invalid duration is not reported: %s", answer.Body)
	}
}

func TestConflictShowsChangesOfOthers(t *testing.T) {
	h := newFixture(fullHTTP())
	b := h.open(t).As("operator")
	f := b.Get("/recipients/full-http").FormOf(t, form)
	theirs := fullHTTP()
	theirs.DisplayName = "Their name"
	h.put(theirs, "Somebody else")
	f.Set("filter", "mine")
	answer := b.Post("/recipients/full-http", f)
	for _, want := range []string{"Someone else saved changes in the meantime", "by Somebody else", "Their name"} {
		if answer.Status != http.StatusUnprocessableEntity || !strings.Contains(answer.Body, want) {
			t.Fatalf("%q is not shown: %d %s", want, answer.Status, answer.Body)
		}
	}
	if n := strings.Count(answer.Body, "<h3>by "); n != 1 {
		t.Errorf("%d changes are shown, want the one that was made meanwhile", n)
	}
	again := answer.FormOf(t, form)
	if again.Get("filter") != "mine" {
		t.Error("what was typed is lost")
	}
	if answer := b.Post("/recipients/full-http", again); answer.Status != http.StatusSeeOther || h.find("full-http").GetFilter() != "mine" {
		t.Errorf("it is not saved the second time: %d", answer.Status)
	}
}

func TestSigningSecretsCanBeRemoved(t *testing.T) {
	h := newFixture(fullHTTP())
	b := h.open(t).As("operator")
	f := b.Get("/recipients/full-http").FormOf(t, form)
	f.Set("http.signingSecrets.removed", "ss-1")
	if answer := b.Post("/recipients/full-http", f); answer.Status != http.StatusSeeOther {
		t.Fatal(answer.Status, answer.Body)
	}
	left := h.find("full-http").GetHttp().GetSigningSecrets()
	if len(left) != 1 || left[0].GetId() != "ss-2" {
		t.Errorf("left are %v", left)
	}
}

func TestASigningSecretIsRotatedWithAnOverlap(t *testing.T) {
	h := newFixture(fullHTTP())
	b := h.open(t).As("operator")
	page := b.Get("/recipients/full-http")
	f := page.FormOf(t, "rotate-secret")
	if f.Get("overlap") != "24 h" {
		t.Errorf("the overlap is %q", f.Get("overlap"))
	}
	f.Set("overlap", "2 d")
	f.Set("kind", "ED25519")
	answer := b.Post("/recipients/full-http/rotate-secret", f)
	if answer.Status != http.StatusOK || !strings.Contains(answer.Body, "whsec_shown_once") || !strings.Contains(answer.Body, "signs until") {
		t.Errorf("the new secret is not shown: %d %s", answer.Status, answer.Body)
	}
	q := last[*outboundv1.RotateSigningSecretRequest](t, h)
	if q.GetId() != "full-http" || q.GetOverlap().AsDuration() != 48*time.Hour || q.GetKind() != outboundv1.SigningSecret_ED25519 {
		t.Errorf("asked %v", q)
	}
	if again := b.Get("/recipients/full-http"); strings.Contains(again.Body, "whsec_shown_once") {
		t.Error("the secret is shown again")
	}
	for _, overlap := range []string{"soon", "100 d"} {
		f.Set("overlap", overlap)
		if answer := b.Post("/recipients/full-http/rotate-secret", f); answer.Status != http.StatusSeeOther {
			t.Errorf("%s: %d", overlap, answer.Status)
		}
		if page := b.Get("/recipients/full-http"); !strings.Contains(page.Body, "verlap") || strings.Count(page.Body, "ss-new") == 0 {
			t.Errorf("%s: no notice", overlap)
		}
	}
	if n := len(h.find("full-http").GetHttp().GetSigningSecrets()); n != 3 {
		t.Errorf("there are %d secrets", n)
	}
	if page := h.open(t).As("viewer").Get("/recipients/full-http"); strings.Contains(page.Body, `id="rotate-secret"`) {
		t.Error("a viewer can rotate")
	}
}

func TestViewersCannotSave(t *testing.T) {
	h := newFixture(fullHTTP())
	b := h.open(t).As("viewer")
	if page := b.Get("/recipients/full-http"); page.Status != http.StatusOK || strings.Contains(page.Body, ">Save<") {
		t.Errorf("%d, or there is something to save with", page.Status)
	}
	for _, path := range []string{"/recipients", "/recipients/full-http", "/recipients/full-http/enabled", "/recipients/full-http/test",
		"/recipients/full-http/diagnose", "/recipients/full-http/delete", "/recipients/full-http/purge",
		"/recipients/full-http/rotate-secret"} {
		if answer := b.Post(path, url.Values{"displayName": {"x"}}); answer.Status != http.StatusForbidden {
			t.Errorf("a viewer posts to %s and gets %d", path, answer.Status)
		}
	}
	if page := b.Get("/recipients/new?channel=http"); page.Status != http.StatusForbidden {
		t.Errorf("a viewer gets the form of a new recipient: %d", page.Status)
	}
}

// inert fails if a page contains hostile text as markup.
func inert(t *testing.T, what string, a consoletest.Answer) {
	t.Helper()
	if a.Status != http.StatusOK || !strings.Contains(a.Body, "&lt;script&gt;alert") || strings.Contains(a.Body, "<script>alert") {
		t.Errorf("%s: status %d, or hostile text is missing or markup:\n%s", what, a.Status, a.Body)
	}
}
