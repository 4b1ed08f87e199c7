package config_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// storedAppliance reads an appliance as the bucket holds it.
func (h *fixture) storedAppliance(id string) *outboundv1.StoredAppliance {
	h.t.Helper()
	all, err := h.bucket(bus.BucketSettings).All(h.ctx(), "")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range all {
		part := &outboundv1.WatchSettingsResponse{}
		if proto.Unmarshal(e.Value, part) == nil && len(part.GetAppliances()) == 1 && part.GetAppliances()[0].GetAppliance().GetId() == id {
			return part.GetAppliances()[0]
		}
	}
	h.t.Fatalf("there is no appliance %s", id)
	return nil
}

func (h *fixture) addAppliance(a *outboundv1.Appliance) *outboundv1.ApplianceCredentials {
	h.t.Helper()
	made, err := h.settings.CreateAppliance(h.ctx(), &outboundv1.CreateApplianceRequest{Appliance: a})
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

// in90Days reports whether a time is 90 days from now.
func in90Days(at time.Time) bool { return (time.Until(at) - 90*24*time.Hour).Abs() < time.Minute }

func TestATokenOfAnApplianceEndsAfter90DaysUnlessItNeverDoes(t *testing.T) {
	h := start(t)
	h.addAppliance(&outboundv1.Appliance{Id: "a1"})
	if end := h.storedAppliance("a1").GetAppliance().GetTokenExpireTime(); !in90Days(end.AsTime()) {
		t.Errorf("by default it ends %v", end)
	}
	h.addAppliance(&outboundv1.Appliance{Id: "a2", TokenNeverExpires: true})
	if end := h.storedAppliance("a2").GetAppliance().GetTokenExpireTime(); end != nil {
		t.Errorf("one that never ends ends %v", end)
	}
	set := func(id string, never bool) *outboundv1.Appliance {
		t.Helper()
		got, err := h.settings.UpdateAppliance(h.ctx(), &outboundv1.UpdateApplianceRequest{
			Appliance: &outboundv1.Appliance{Id: id, TokenNeverExpires: never}, UpdateMask: mask("token_never_expires")})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := set("a1", true); got.GetTokenExpireTime() != nil {
		t.Errorf("set to never, it ends %v", got.GetTokenExpireTime())
	}
	if got := set("a2", false); !in90Days(got.GetTokenExpireTime().AsTime()) {
		t.Errorf("unset, it ends %v", got.GetTokenExpireTime())
	}
	// Other changes leave the end alone.
	before := h.storedAppliance("a2").GetAppliance().GetTokenExpireTime()
	got, err := h.settings.UpdateAppliance(h.ctx(), &outboundv1.UpdateApplianceRequest{
		Appliance: &outboundv1.Appliance{Id: "a2", DisplayName: "Two"}, UpdateMask: mask("display_name")})
	if err != nil || !proto.Equal(got.GetTokenExpireTime(), before) {
		t.Errorf("after another change it ends %v, before %v (%v)", got.GetTokenExpireTime(), before, err)
	}
}

func TestATokenOfAnApplianceIsReplacedWithAnOverlap(t *testing.T) {
	h := start(t)
	first := h.addAppliance(&outboundv1.Appliance{Id: "a1"})
	before := h.storedAppliance("a1")
	rotate := func(q *outboundv1.RotateApplianceRequest) (*outboundv1.ApplianceCredentials, error) {
		q.Id = "a1"
		return h.settings.RotateAppliance(h.ctx(), q)
	}
	second, err := rotate(&outboundv1.RotateApplianceRequest{TokenOnly: true, Overlap: durationpb.New(time.Hour)})
	if err != nil || second.GetPassword() != "" || second.GetToken() == first.GetToken() {
		t.Fatalf("replaced by %v, %v", second, err)
	}
	s := h.storedAppliance("a1")
	secondEnds := s.GetAppliance().GetTokenExpireTime()
	if !in90Days(secondEnds.AsTime()) {
		t.Errorf("the second one ends %v", secondEnds)
	}
	if s.GetPasswordBcrypt() != before.GetPasswordBcrypt() || string(s.GetTokenSha256()) != string(secret.HashToken(second.GetToken())) ||
		string(s.GetPreviousTokenSha256()) != string(before.GetTokenSha256()) {
		t.Errorf("stored is %v", s)
	}
	if off := time.Until(s.GetPreviousTokenExpireTime().AsTime()) - time.Hour; off.Abs() > time.Minute {
		t.Errorf("the old one ends at %v", s.GetPreviousTokenExpireTime().AsTime())
	}
	// The old token does not live longer by that.
	if _, err := rotate(&outboundv1.RotateApplianceRequest{Overlap: durationpb.New(90 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if end := h.storedAppliance("a1").GetPreviousTokenExpireTime(); !proto.Equal(end, secondEnds) {
		t.Errorf("a token that ends at %v is accepted until %v", secondEnds.AsTime(), end.AsTime())
	}
	third, err := rotate(&outboundv1.RotateApplianceRequest{})
	if s := h.storedAppliance("a1"); err != nil || third.GetPassword() == "" || len(s.GetPreviousTokenSha256()) != 0 ||
		s.GetPasswordBcrypt() == before.GetPasswordBcrypt() {
		t.Errorf("without an overlap: %v, %v", s, err)
	}
	_, err = rotate(&outboundv1.RotateApplianceRequest{Overlap: durationpb.New(91 * 24 * time.Hour)})
	wantCode(t, err, codes.InvalidArgument)
}
