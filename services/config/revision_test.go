package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// revisions lists all revisions of a resource, or of all, by pages of a size.
func (h *fixture) revisions(resource string, size int32) []*outboundv1.Revision {
	h.t.Helper()
	var out []*outboundv1.Revision
	q := &outboundv1.ListRevisionsRequest{Resource: resource, PageSize: size}
	for {
		page, err := h.settings.ListRevisions(h.ctx(), q)
		if err != nil {
			h.t.Fatalf("list revisions of %q: %v", resource, err)
		}
		if size > 0 && len(page.GetRevisions()) > int(size) {
			h.t.Errorf("a page of %d has %d", size, len(page.GetRevisions()))
		}
		out = append(out, page.GetRevisions()...)
		if q.PageToken = page.GetNextPageToken(); q.GetPageToken() == "" {
			return out
		}
	}
}

// told is a revision in a line: what was done, by whom, and which fields changed to what.
func told(r *outboundv1.Revision) string {
	out := []string{r.GetResource(), r.GetAction(), "by", r.GetActor()}
	for _, c := range r.GetChanges() {
		if c.GetPath() == "deleteTime" {
			out = append(out, "deleteTime")
			continue
		}
		out = append(out, fmt.Sprintf("%s:%s>%s", c.GetPath(), c.GetBefore(), c.GetAfter()))
	}
	return strings.Join(out, " ")
}

func (h *fixture) update(r *outboundv1.Recipient, paths ...string) {
	h.t.Helper()
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: r, UpdateMask: mask(paths...)}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fixture) rollBack(resource string, revision uint64) *outboundv1.Revision {
	h.t.Helper()
	r, err := h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: resource, Revision: revision})
	if err != nil {
		h.t.Fatalf("roll %s back to %d: %v", resource, revision, err)
	}
	return r.GetRevision()
}

func TestEachChangeOfARecipientIsTold(t *testing.T) {
	h := start(t, eager)
	in := httpRecipient("R")
	in.GetHttp().Auth = basic("u", canaryPassword)
	in.GetHttp().Headers = map[string]string{"X-A": "1"}
	h.create(in)
	change := &outboundv1.Recipient{Id: "r", Enabled: proto.Bool(false), Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
		Url: "https://other.example.com/hook", Auth: basic("u", "another-one"), Headers: map[string]string{"X-A": "2", "X-B": "3"},
		MaxInFlight: 2,
	}}}
	h.update(change, "http.url", "http.auth", "http.headers", "http.max_in_flight")
	h.update(change, "enabled")
	h.update(&outboundv1.Recipient{Id: "r", EventTypes: []string{"support_conference_end"}}, "event_types")
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: "r"}); err != nil {
		t.Fatal(err)
	}
	h.eventually("the recipient is gone", func() bool { return len(h.revisions("recipients/r", 0)) == 6 })

	got := h.revisions("recipients/r", 2)
	want := []string{
		"recipients/r removed by outbound",
		"recipients/r deleted by admin deleteTime",
		`recipients/r changed by admin eventTypes:["support_conference_begin","support_conference_end"]>["support_conference_end"]`,
		"recipients/r changed by admin enabled:true>false",
		`recipients/r changed by admin http.auth.basic.password:"set">"changed" http.headers["X-A"]:"1">"2" http.headers["X-B"]:>"3" http.maxInFlight:16>2 http.url:"https://receiver.example.com/hook">"https://other.example.com/hook"`,
	}
	if len(got) != 6 {
		t.Fatalf("%d revisions are told, want 6: %v", len(got), got)
	}
	for i, w := range want {
		if told(got[i]) != w {
			t.Errorf("revision %d is\n %s, want\n %s", i, told(got[i]), w)
		}
		if gone := got[i].GetResourceJson() == ""; gone != (i < 2) {
			t.Errorf("revision %d has the resource %q", i, got[i].GetResourceJson())
		}
		if got[i].GetRevision() <= got[i+1].GetRevision() || got[i].GetTime() == nil {
			t.Errorf("revision %d is %d, after %d", i, got[i].GetRevision(), got[i+1].GetRevision())
		}
	}
	created := told(got[5])
	for _, part := range []string{"recipients/r created by admin", `displayName:>"R"`, `http.auth.basic.password:>"set"`,
		`http.auth.basic.username:>"u"`} {
		if !strings.Contains(created, part) {
			t.Errorf("its creation does not tell %s: %s", part, created)
		}
	}
	for _, r := range got {
		if text := protojson.Format(r); strings.Contains(text, canaryPassword) || strings.Contains(text, "another-one") {
			t.Errorf("a revision tells a secret: %s", text)
		}
	}
}

func TestARecipientIsRolledBackWithItsSecrets(t *testing.T) {
	h := start(t, eager)
	in := httpRecipient("R")
	in.GetHttp().Auth, in.GetHttp().SigningSecrets = basic("u", canaryPassword), []*outboundv1.SigningSecret{{}}
	h.create(in)
	first, signing := h.revisions("recipients/r", 0)[0], h.stored("r").GetRecipient().GetHttp().GetSigningSecrets()[0].GetId()
	path := credential.SigningSecretPath(signing)
	signed := h.opened(h.stored("r"), path)
	h.update(&outboundv1.Recipient{Id: "r", DisplayName: "Renamed", Appliances: []string{"a1"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Auth: bearer(canaryToken)}}},
		"display_name", "appliances", "http.auth", "http.signing_secrets")
	before := h.stored("r")

	back := h.rollBack("recipients/r", first.GetRevision())
	if back.GetAction() != "rolled back" || back.GetRolledBackTo() != first.GetRevision() || back.GetActor() != "admin" {
		t.Errorf("it is told as %s (to %d)", told(back), back.GetRolledBackTo())
	}
	now := h.stored("r")
	if h.opened(now, credential.SecretBasicPassword) != canaryPassword || h.opened(now, path) != signed || len(now.GetSealedSecrets()) != 2 {
		t.Errorf("the secrets are not as they were: %d", len(now.GetSealedSecrets()))
	}
	if now.GetRecipient().GetDisplayName() != "R" || now.GetStartSequence() != before.GetStartSequence() ||
		now.GetRevision() != before.GetRevision()+1 {
		t.Errorf("it is %v", now)
	}
	if got := h.filters("http-r"); !slices.Contains(got, "outbound.events.*.support_conference_end") {
		t.Errorf("its consumer gets %q", got)
	}
	// The name it had meanwhile is free, its own is not.
	h.create(httpRecipient("Renamed"))
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("r ")})
	wantCode(t, err, codes.AlreadyExists)
	// Its past with the name that somebody else has now is refused, and changes nothing.
	_, err = h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: "recipients/r",
		Revision: h.revisions("recipients/r", 0)[1].GetRevision()})
	wantCode(t, err, codes.AlreadyExists)
	if got := h.revisions("recipients/r", 0); len(got) != 3 {
		t.Errorf("%d revisions, want 3", len(got))
	}
}

func TestADeletedRecipientIsCreatedAgain(t *testing.T) {
	h := start(t, eager)
	in := httpRecipient("R")
	in.GetHttp().Auth = basic("u", canaryPassword)
	h.create(in)
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: "r"}); err != nil {
		t.Fatal(err)
	}
	h.eventually("the recipient is gone", func() bool { return len(h.revisions("recipients/r", 0)) == 3 })
	all := h.revisions("recipients/r", 0)
	for _, gone := range all[:2] {
		_, err := h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: "recipients/r", Revision: gone.GetRevision()})
		wantCode(t, err, codes.FailedPrecondition)
	}
	h.publish(t, "e-1")
	last := h.lastSequence()
	back := h.rollBack("recipients/r", all[2].GetRevision())
	if back.GetAction() != "rolled back" || back.GetResourceJson() == "" || len(back.GetChanges()) == 0 {
		t.Errorf("it is told as %s", told(back))
	}
	now := h.stored("r")
	if now.GetStartSequence() != last+1 || now.GetRevision() != 3 || h.opened(now, credential.SecretBasicPassword) != canaryPassword {
		t.Errorf("it begins at %d with revision %d, want %d with 3", now.GetStartSequence(), now.GetRevision(), last+1)
	}
	// What was accepted while it was gone is not its own; what comes now is.
	h.publish(t, "e-2")
	h.waits("r", 1)
	_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("R")})
	wantCode(t, err, codes.AlreadyExists)
	if list := h.consumers(); !slices.Equal(list, []string{"http-r"}) {
		t.Errorf("the consumers are %q", list)
	}
}

// publish accepts an event as ingest does.
func (h *fixture) publish(t *testing.T, id string) {
	t.Helper()
	raw := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"a1","type":"support_conference_end","time":"2026-11-21T10:00:00Z","data":{}}`, id)
	e, faults := event.Decode([]byte(raw))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	publisher := bus.NewPublisher(h.bus)
	defer publisher.Close()
	if _, err := publisher.Accept(h.ctx(), e); err != nil {
		t.Fatal(err)
	}
}

func TestSettingsAreRolledBackOneByOne(t *testing.T) {
	h := start(t)
	smtp := &outboundv1.SmtpSettings{Host: "mail.example.com", Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: "u",
		Password: canaryRelay, FromAddress: "o@example.com"}
	set := func(s *outboundv1.SmtpSettings, paths ...string) {
		t.Helper()
		if _, err := h.settings.UpdateSmtpSettings(h.ctx(),
			&outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: s, UpdateMask: mask(paths...)}); err != nil {
			t.Fatal(err)
		}
	}
	set(smtp)
	set(&outboundv1.SmtpSettings{Host: "other.example.com", Auth: outboundv1.SmtpSettings_Auth_NONE}, "host", "auth", "username")
	if got := told(h.revisions("settings/smtp",
		0)[0]); got != `settings/smtp changed by admin auth:"PLAIN">"NONE" host:"mail.example.com">"other.example.com" password:"set"> username:"u">` {
		t.Errorf("told %s", got)
	}
	h.rollBack("settings/smtp", h.revisions("settings/smtp", 0)[1].GetRevision())
	e, err := h.bucket("outbound_settings").Get(h.ctx(), "smtp")
	if err != nil {
		t.Fatal(err)
	}
	p := &outboundv1.WatchSettingsResponse{}
	if err := proto.Unmarshal(e.Value, p); err != nil {
		t.Fatal(err)
	}
	if plain, err := h.sealer.Open(p.GetSealedSmtpPassword(), credential.SecretSMTPPassword); err != nil || string(plain) != canaryRelay ||
		p.GetSmtp().GetHost() != "mail.example.com" {
		t.Errorf("the relay is %v (%v)", p.GetSmtp(), err)
	}

	for _, d := range []float64{600, 1200} {
		if _, err := h.settings.UpdateEmailSettings(h.ctx(),
			&outboundv1.UpdateEmailSettingsRequest{EmailSettings: &outboundv1.EmailSettings{RetryDuration: seconds(d)},
				UpdateMask: mask("retry_duration")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.rollBack("settings/email", h.revisions("settings/email",
		0)[1].GetRevision()); told(got) != `settings/email rolled back by admin retryDuration:"1200s">"600s"` {
		t.Errorf("told %s", told(got))
	}

	for _, name := range []string{"Region", "Cost centre"} {
		if _, err := h.settings.CreateCustomField(h.ctx(),
			&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: name}}); err != nil {
			t.Fatal(err)
		}
	}
	got := h.rollBack("custom-fields", h.revisions("custom-fields", 0)[1].GetRevision())
	if told(got) != `custom-fields rolled back by admin customFields[cost_centre].codeName:"cost_centre"> customFields[cost_centre].displayName:"Cost centre">` {
		t.Errorf("told %s", told(got))
	}
}

func TestTypesComeBackAndCredentialsDoNot(t *testing.T) {
	h := start(t)
	own := &outboundv1.EventType{Id: "disk_full", DisplayName: "Disk full", Email: true}
	if _, err := h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{EventType: own}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.settings.DeleteEventType(h.ctx(), &outboundv1.DeleteEventTypeRequest{Id: own.GetId()}); err != nil {
		t.Fatal(err)
	}
	all := h.revisions("event-types/disk_full", 1)
	if len(all) != 2 || all[0].GetAction() != "deleted" || all[0].GetResourceJson() != "" || len(all[0].GetChanges()) == 0 {
		t.Fatalf("told %v", all)
	}
	h.rollBack("event-types/disk_full", all[1].GetRevision())
	if back, err := h.settings.GetEventType(h.ctx(), &outboundv1.GetEventTypeRequest{Id: "disk_full"}); err != nil ||
		back.GetDisplayName() != "Disk full" || !back.GetEmail() {
		t.Errorf("it is %v (%v)", back, err)
	}

	made, err := h.settings.CreateAppliance(h.ctx(),
		&outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a1", DisplayName: "One"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.settings.RotateAppliance(h.ctx(), &outboundv1.RotateApplianceRequest{Id: "a1"}); err != nil {
		t.Fatal(err)
	}
	all = h.revisions("appliances/a1", 0)
	if text := told(all[0]); !strings.Contains(text, `password:"set">"changed"`) || !strings.Contains(text, `token:"set">"changed"`) ||
		strings.Contains(text, made.GetToken()) {
		t.Errorf("a rotation is told as %s", text)
	}
	if text := told(h.rollBack("appliances/a1", all[1].GetRevision())); strings.Contains(text, "token") || strings.Contains(text, "password") {
		t.Errorf("old credentials came back: %s", text)
	}
	if _, err := h.settings.DeleteAppliance(h.ctx(), &outboundv1.DeleteApplianceRequest{Id: "a1"}); err != nil {
		t.Fatal(err)
	}
	_, err = h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: "appliances/a1", Revision: all[1].GetRevision()})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestRevisionsOfAllAreListedNewestFirst(t *testing.T) {
	h := start(t)
	want := 0
	for i := range 7 {
		h.create(httpRecipient(fmt.Sprintf("R%d", i)))
		if _, err := h.settings.CreateCustomField(h.ctx(),
			&outboundv1.CreateCustomFieldRequest{CustomField: &outboundv1.CustomField{DisplayName: fmt.Sprintf("F%d", i)}}); err != nil {
			t.Fatal(err)
		}
		want += 2
	}
	for _, size := range []int32{0, 1, 3, 1000} {
		got := h.revisions("", size)
		if len(got) != want {
			t.Fatalf("by pages of %d there are %d revisions, want %d", size, len(got), want)
		}
		for i, r := range got {
			resource := "custom-fields"
			if i%2 == 1 {
				resource = fmt.Sprintf("recipients/r%d", 6-i/2)
			}
			if r.GetResource() != resource {
				t.Errorf("by pages of %d, number %d is %s, want %s", size, i, r.GetResource(), resource)
			}
		}
	}
	for _, bad := range []*outboundv1.ListRevisionsRequest{{Resource: "nonsense"}, {Resource: "recipients/>"},
		{Resource: "recipients/a.*"}, {PageToken: "?"}, {Resource: "custom-fields", PageToken: "WzEsMl0"}} {
		_, err := h.settings.ListRevisions(h.ctx(), bad)
		wantCode(t, err, codes.InvalidArgument)
	}
	if none := h.revisions("recipients/nobody", 0); len(none) != 0 {
		t.Errorf("nobody has revisions: %v", none)
	}
	_, err := h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: "recipients/r0", Revision: 9999})
	wantCode(t, err, codes.NotFound)
	// The revision of one recipient is not another's.
	_, err = h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: "recipients/r0",
		Revision: h.revisions("recipients/r1", 0)[0].GetRevision()})
	wantCode(t, err, codes.NotFound)
}
