package config_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
)

func TestCreateFillsInDefaultsAndMakesTheConsumer(t *testing.T) {
	h := start(t)
	e := event.Sample(event.Catalogue()[0], "a1", "before", time.Now(), nil)
	p := bus.NewPublisher(h.bus)
	defer p.Close()
	if _, err := p.Accept(h.ctx(), e); err != nil {
		t.Fatal(err)
	}
	made := h.create(httpRecipient(" CRM of Ops "))
	if made.GetId() != "crm-of-ops" || made.GetDisplayName() != "CRM of Ops" || !made.GetEnabled() || made.GetEtag() == "" ||
		made.GetCreateTime() == nil {
		t.Errorf("created %v", made)
	}
	x := made.GetHttp()
	if x.GetRetryInterval().AsDuration() != recipient.DefaultRetryInterval ||
		x.GetRetryDuration().AsDuration() != recipient.DefaultRetryDuration ||
		x.GetTimeout().AsDuration() != recipient.DefaultTimeout || x.GetMaxInFlight() != 16 ||
		x.GetFormat() != outboundv1.HttpRecipient_Format_FORM ||
		x.GetSuccess() != outboundv1.HttpRecipient_Success_HTTP_200 || x.GetOrder() != outboundv1.HttpRecipient_Order_NONE ||
		made.GetWhileDisabled() != outboundv1.Recipient_WhileDisabled_SKIP {
		t.Errorf("defaults are not filled in: %v", made)
	}
	got, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: made.GetId()})
	if err != nil || !proto.Equal(got, made) {
		t.Errorf("read %v (%v), want what was created", got, err)
	}
	if b, err := control.New(h.bus).Backlog(h.ctx(), recipient.HTTP, made.GetId()); err != nil || b.Waiting != 0 {
		t.Errorf("its queue holds %+v (%v): what was accepted before is not its own", b, err)
	}
	after := event.Sample(event.Catalogue()[0], "a1", "after", time.Now(), nil)
	if _, err := p.Accept(h.ctx(), after); err != nil {
		t.Fatal(err)
	}
	h.waits(made.GetId(), 1)
}

func TestEveryViolationIsAnsweredAtOnce(t *testing.T) {
	h := start(t)
	bad := &outboundv1.Recipient{
		DisplayName: "bad\x01", EventTypes: []string{"support_conference_end", "no_such_type"}, Appliances: []string{"a b"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "http://user:pw@receiver.example.com/#x", CaCertificatePem: "nonsense",
			RetryInterval: seconds(120), RetryDuration: seconds(60), Timeout: seconds(31), MaxInFlight: 65,
			Headers:        map[string]string{"Host": "x", "X-A": "1", "Webhook-Id": "y"},
			Backoff:        &outboundv1.Backoff{Multiplier: 0.5, Ceiling: seconds(1)},
			Contact:        &outboundv1.Contact{Addresses: []string{"ops@example.com", `"a b"@example.com`, "ops@[127.0.0.1]", "ops@EXAMPLE.com"}},
			Auth:           &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Oauth2{Oauth2: &outboundv1.OAuth2ClientCredentials{}}},
			SigningSecrets: []*outboundv1.SigningSecret{{}, {Secret: "whsec_short"}},
		}},
	}
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: bad})
	wantFields(t, err, "displayName", "eventTypes[1]", "appliances[0]", "http.url", "http.caCertificatePem", "http.retryInterval",
		"http.timeout",
		"http.maxInFlight", `http.headers["Host"]`, `http.headers["Webhook-Id"]`, "http.backoff.multiplier", "http.backoff.ceiling",
		"http.contact.addresses[1]", "http.contact.addresses[2]", "http.contact.addresses[3]", "http.auth.oauth2.clientId",
		"http.auth.oauth2.clientSecret", "http.auth.oauth2.tokenUrl", "http.signingSecrets[1].secret")

	mail := emailRecipient("m")
	mail.EventTypes = []string{"support_conference_begin", "support_conference_end"}
	mail.GetEmail().Addresses = []string{"ops@example.com", "Ops <ops@example.com>", "a\r\n@example.com"}
	mail.GetEmail().Subject, mail.GetEmail().Body, mail.GetEmail().HtmlBody = "%EXTERNAL_KYE%", "%NOPE%", "<p title=%NOPE%>"
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: mail})
	wantFields(t, err, "eventTypes[0]", "email.addresses[1]", "email.addresses[2]", "email.subject", "email.body", "email.htmlBody")

	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{})
	wantFields(t, err, "displayName", "eventTypes", "http")
}

func TestTakenNameAndIDAreRefused(t *testing.T) {
	h := start(t)
	first := h.create(httpRecipient("Größe"))
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("  GRÖSSE ")})
	wantCode(t, err, codes.AlreadyExists)
	if v := rpc.ViolationsOf(err); len(v) != 1 || v[0].Field != "displayName" {
		t.Errorf("answered %v, want the field", v)
	}
	other := httpRecipient("Other")
	other.Id = first.GetId()
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: other})
	wantCode(t, err, codes.AlreadyExists)
	other.Id = ""
	second := h.create(other)
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{Id: second.GetId(), DisplayName: "größe"}, UpdateMask: mask("display_name"),
	})
	wantCode(t, err, codes.AlreadyExists)
	// Two names that make one id.
	third, fourth := h.create(httpRecipient("A.B")), h.create(httpRecipient("A B"))
	if third.GetId() != "a-b" || fourth.GetId() != "a-b-2" {
		t.Errorf("made the ids %s and %s", third.GetId(), fourth.GetId())
	}
}

func TestRenameFreesTheOldNameAndKeepsTheQueue(t *testing.T) {
	h := start(t)
	r := h.create(httpRecipient("Old"))
	update := &outboundv1.UpdateRecipientRequest{Recipient: &outboundv1.Recipient{Id: r.GetId(), DisplayName: "New"},
		UpdateMask: mask("display_name")}
	renamed, err := h.admin.UpdateRecipient(h.ctx(), update)
	if err != nil || renamed.GetDisplayName() != "New" || renamed.GetId() != r.GetId() || renamed.GetEtag() == r.GetEtag() {
		t.Fatalf("renamed to %v (%v)", renamed, err)
	}
	fresh := httpRecipient("Old")
	fresh.Id = "fresh"
	h.create(fresh)
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("NEW")})
	wantCode(t, err, codes.AlreadyExists)
}

func TestStaleEtagIsAborted(t *testing.T) {
	h := start(t)
	r := h.create(httpRecipient("R"))
	change := &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{Id: r.GetId(), Etag: r.GetEtag(), Enabled: proto.Bool(false)}, UpdateMask: mask("enabled"),
	}
	if _, err := h.admin.UpdateRecipient(h.ctx(), change); err != nil {
		t.Fatal(err)
	}
	_, err := h.admin.UpdateRecipient(h.ctx(), change)
	wantCode(t, err, codes.Aborted)
	if !strings.Contains(err.Error(), r.GetId()) {
		t.Errorf("%v does not say what to read again", err)
	}
	_, err = h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: r.GetId(), Etag: r.GetEtag()})
	wantCode(t, err, codes.Aborted)
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: &outboundv1.Recipient{Id: "nobody"}})
	wantCode(t, err, codes.NotFound)
}

func TestTwentyWritersLoseNothing(t *testing.T) {
	h := start(t)
	r := h.create(httpRecipient("Shared"))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			// Each adds a header of its own, reading and trying again when it was not the first.
			for {
				now, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: r.GetId()})
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				if now.GetHttp().Headers == nil {
					now.GetHttp().Headers = map[string]string{}
				}
				now.GetHttp().Headers[fmt.Sprintf("X-%d", i)] = "1"
				_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: now})
				if status.Code(err) == codes.Aborted {
					continue
				}
				if err != nil {
					t.Errorf("write: %v", err)
				}
				return
			}
		})
		wg.Go(func() {
			// Without an etag a mask is enough: others' fields are not touched.
			_, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
				Recipient: &outboundv1.Recipient{Id: r.GetId(),
					Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{MaxInFlight: int32(i + 1)}}},
				UpdateMask: mask("http.max_in_flight"),
			})
			if err != nil {
				t.Errorf("write without an etag: %v", err)
			}
		})
	}
	wg.Wait()
	got, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: r.GetId()})
	if err != nil || len(got.GetHttp().GetHeaders()) != 20 {
		t.Errorf("%d headers are left of 20 (%v)", len(got.GetHttp().GetHeaders()), err)
	}
}

func TestUpdateChangesWhatTheMaskNamesAlone(t *testing.T) {
	h := start(t)
	in := httpRecipient("R")
	in.GetHttp().Backoff = &outboundv1.Backoff{Multiplier: 3}
	in.Appliances = []string{"a1"}
	r := h.create(in)
	got, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{
			Id: r.GetId(), DisplayName: "ignored", CreateTime: nil,
			Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://other.example.com", RetryInterval: seconds(60)}},
		},
		// Fields that only the server sets come along when a resource is sent back as it was read.
		UpdateMask: mask("http.url", "http.retry_interval", "http.backoff", "appliances", "id", "etag", "create_time", "warnings"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetDisplayName() != "R" || got.GetHttp().GetUrl() != "https://other.example.com" ||
		got.GetHttp().GetRetryInterval().AsDuration().Seconds() != 60 ||
		got.GetHttp().GetBackoff() != nil || len(got.GetAppliances()) != 0 || got.GetHttp().GetMaxInFlight() != 16 || got.GetCreateTime() == nil {
		t.Errorf("updated to %v", got)
	}
	_, err = h.admin.UpdateRecipient(h.ctx(),
		&outboundv1.UpdateRecipientRequest{Recipient: &outboundv1.Recipient{Id: r.GetId()}, UpdateMask: mask("http.nope", "http.headers.x")})
	wantFields(t, err, "updateMask")
	_, err = h.admin.UpdateRecipient(h.ctx(),
		&outboundv1.UpdateRecipientRequest{Recipient: &outboundv1.Recipient{Id: r.GetId(), Channel: emailRecipient("x").GetChannel()},
			UpdateMask: mask("email")})
	wantCode(t, err, codes.InvalidArgument)
	whole := httpRecipient("R2")
	whole.Id = r.GetId()
	got, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: whole, UpdateMask: mask("*")})
	if err != nil || got.GetHttp().GetRetryInterval().AsDuration() != recipient.DefaultRetryInterval || got.GetDisplayName() != "R2" {
		t.Errorf("replaced by %v (%v)", got, err)
	}
}

func TestURLPolicyIsKept(t *testing.T) {
	for policy, want := range map[string][]bool{"https": {true, true, false}, "https-443": {true, false, false}, "any": {true, true, true}} {
		t.Run(policy, func(t *testing.T) {
			h := start(t, func(o *config.Options) { o.URLPolicy = policy })
			for i, url := range []string{"https://r.example.com/x?y=z", "https://r.example.com:8443/", "http://r.example.com/"} {
				r := httpRecipient(url)
				r.GetHttp().Url = url
				_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: r})
				if (err == nil) != want[i] {
					t.Errorf("%s: %v", url, err)
				}
			}
		})
	}
}

func TestListGoesByNameInPages(t *testing.T) {
	h := start(t)
	for _, name := range []string{"delta", "Alpha", "charlie", "Bravo", "echo"} {
		h.create(httpRecipient(name))
	}
	var got []string
	token := ""
	for {
		page, err := h.admin.ListRecipients(h.ctx(), &outboundv1.ListRecipientsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		if page.GetTotalSize() != 5 || len(page.GetRecipients()) > 2 {
			t.Errorf("a page of %d of %d", len(page.GetRecipients()), page.GetTotalSize())
		}
		for _, r := range page.GetRecipients() {
			got = append(got, r.GetDisplayName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if want := []string{"Alpha", "Bravo", "charlie", "delta", "echo"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func TestSettingsWithoutEffectAreWarnedOf(t *testing.T) {
	h := start(t, func(o *config.Options) { o.URLPolicy = "any" })
	in := httpRecipient("R")
	in.GetHttp().Url = "http://r.example.com"
	in.GetHttp().Auth = basic("u", "p")
	if r := h.create(in); len(r.GetWarnings()) != 2 {
		t.Errorf("warned of %q", r.GetWarnings())
	}
	if r := h.create(httpRecipient("Plain")); len(r.GetWarnings()) != 0 {
		t.Errorf("warned of %q", r.GetWarnings())
	}
}

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }
