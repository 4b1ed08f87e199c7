package config_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// signed creates a recipient with signing secrets.
func (h *fixture) signed(name string, secrets ...*outboundv1.SigningSecret) *outboundv1.Recipient {
	h.t.Helper()
	in := httpRecipient(name)
	in.GetHttp().SigningSecrets = secrets
	return h.create(in)
}

func (h *fixture) rotate(q *outboundv1.RotateSigningSecretRequest) ([]*outboundv1.SigningSecret, error) {
	h.t.Helper()
	r, err := h.admin.RotateSigningSecret(h.ctx(), q)
	return r.GetHttp().GetSigningSecrets(), err
}

func TestARotatedSecretSignsOnForTheOverlap(t *testing.T) {
	h := start(t)
	for name, c := range map[string]struct {
		overlap *durationpb.Duration
		want    time.Duration
	}{"Default": {nil, 24 * time.Hour}, "Two days": {durationpb.New(48 * time.Hour), 48 * time.Hour}} {
		before := h.signed(name, &outboundv1.SigningSecret{})
		first := before.GetHttp().GetSigningSecrets()[0]
		now := time.Now()
		got, err := h.rotate(&outboundv1.RotateSigningSecretRequest{Id: before.GetId(), Overlap: c.overlap})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0].GetId() != first.GetId() || got[1].GetExpireTime() != nil || got[0].GetSecret() != "" {
			t.Fatalf("%s: rotated to %v", name, got)
		}
		if off := got[0].GetExpireTime().AsTime().Sub(now.Add(c.want)).Abs(); off > time.Minute {
			t.Errorf("%s: the old one ends %v, off by %v", name, got[0].GetExpireTime().AsTime(), off)
		}
		if _, err := credential.ParseSigningSecret(got[1].GetSecret()); err != nil || got[1].GetSecret() == first.GetSecret() {
			t.Errorf("%s: the new one is no new secret: %v", name, err)
		}
		s := h.stored(before.GetId())
		for id, want := range map[string]string{first.GetId(): first.GetSecret(), got[1].GetId(): got[1].GetSecret()} {
			if h.opened(s, credential.SigningSecretPath(id)) != want {
				t.Errorf("%s: secret %s is not the one that was shown", name, id)
			}
		}
	}
}

func TestARotationWithoutAnOverlapEndsTheOldSecretAtOnce(t *testing.T) {
	h := start(t)
	r := h.signed("R", &outboundv1.SigningSecret{})
	own := credential.FormatSigningSecret(bytes.Repeat([]byte{7}, 32))
	got, err := h.rotate(&outboundv1.RotateSigningSecretRequest{Id: r.GetId(), Overlap: durationpb.New(0), Secret: own})
	if err != nil || len(got) != 1 || got[0].GetSecret() != "" || got[0].GetId() == r.GetHttp().GetSigningSecrets()[0].GetId() {
		t.Fatalf("rotated to %v, %v", got, err)
	}
	s := h.stored(r.GetId())
	if len(s.GetSealedSecrets()) != 1 || h.opened(s, credential.SigningSecretPath(got[0].GetId())) != own {
		t.Errorf("%d secrets are sealed", len(s.GetSealedSecrets()))
	}
}

func TestARotationReplacesSecretsOfItsKind(t *testing.T) {
	h := start(t)
	pair := outboundv1.SigningSecret_ED25519
	both := h.signed("Both", &outboundv1.SigningSecret{}, &outboundv1.SigningSecret{Kind: pair})
	_, err := h.rotate(&outboundv1.RotateSigningSecretRequest{Id: both.GetId()})
	wantFields(t, err, "kind")
	got, err := h.rotate(&outboundv1.RotateSigningSecretRequest{Id: both.GetId(), Kind: pair})
	if err != nil || len(got) != 3 || got[0].GetExpireTime() != nil || got[1].GetExpireTime() == nil || got[2].GetPublicKey() == "" {
		t.Errorf("of both: %v, %v", got, err)
	}
	// A recipient without secrets of the kind changes over.
	hmac := h.signed("Shared", &outboundv1.SigningSecret{})
	got, err = h.rotate(&outboundv1.RotateSigningSecretRequest{Id: hmac.GetId(), Kind: pair})
	if err != nil || len(got) != 2 || got[0].GetExpireTime() == nil || got[1].GetKind() != pair {
		t.Errorf("changed over: %v, %v", got, err)
	}
	// An end that comes sooner stays.
	soon := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Second))
	two := h.signed("Two", &outboundv1.SigningSecret{ExpireTime: soon}, &outboundv1.SigningSecret{})
	got, err = h.rotate(&outboundv1.RotateSigningSecretRequest{Id: two.GetId()})
	if err != nil || len(got) != 3 || !proto.Equal(got[0].GetExpireTime(), soon) || got[1].GetExpireTime() == nil {
		t.Errorf("of two: %v, %v", got, err)
	}
}

func TestARotationThatCannotBeMadeSaysWhy(t *testing.T) {
	h := start(t)
	plain, mail, full := h.create(httpRecipient("Plain")), h.create(emailRecipient("Mail")), h.signed("Full", &outboundv1.SigningSecret{})
	for range 3 {
		if _, err := h.rotate(&outboundv1.RotateSigningSecretRequest{Id: full.GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	type request = outboundv1.RotateSigningSecretRequest
	atOnce, tooLong := durationpb.New(0), durationpb.New(91*24*time.Hour)
	for name, c := range map[string]struct {
		q    *request
		code codes.Code
	}{
		"no secret":     {&request{Id: plain.GetId()}, codes.FailedPrecondition},
		"email":         {&request{Id: mail.GetId()}, codes.FailedPrecondition},
		"four":          {&request{Id: full.GetId()}, codes.FailedPrecondition},
		"nobody":        {&request{Id: "nobody"}, codes.NotFound},
		"stale":         {&request{Id: full.GetId(), Etag: full.GetEtag()}, codes.Aborted},
		"not a secret":  {&request{Id: full.GetId(), Overlap: atOnce, Secret: "x"}, codes.InvalidArgument},
		"too long":      {&request{Id: full.GetId(), Overlap: tooLong}, codes.InvalidArgument},
		"in the past":   {&request{Id: full.GetId(), Overlap: durationpb.New(-time.Hour)}, codes.InvalidArgument},
		"unknown kinds": {&request{Id: full.GetId(), Kind: 9}, codes.InvalidArgument},
	} {
		if _, err := h.rotate(c.q); status.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(h.recipient(full.GetId()).GetHttp().GetSigningSecrets()); n != 4 {
		t.Errorf("%d secrets are left", n)
	}
}

func TestASecretThatHasEndedGoesByItself(t *testing.T) {
	h := start(t, eager)
	ids := map[string][]string{}
	for _, name := range []string{"replaced", "last"} {
		secrets := []*outboundv1.SigningSecret{{}}
		if name == "replaced" {
			secrets = append(secrets, &outboundv1.SigningSecret{})
		}
		for _, s := range h.signed(name, secrets...).GetHttp().GetSigningSecrets() {
			ids[name] = append(ids[name], s.GetId())
		}
		h.endFirst(name)
	}
	h.eventually("the replaced one is removed", func() bool {
		s := h.stored("replaced")
		left := s.GetRecipient().GetHttp().GetSigningSecrets()
		return len(left) == 1 && left[0].GetId() == ids["replaced"][1] && len(s.GetSealedSecrets()) == 1
	})
	if left := h.recipient("last").GetHttp().GetSigningSecrets(); len(left) != 1 || left[0].GetId() != ids["last"][0] {
		t.Errorf("the last secret is gone: %v", left)
	}
}

// endFirst lets the first signing secret of a recipient have ended an hour ago.
func (h *fixture) endFirst(id string) {
	h.t.Helper()
	bucket := h.bucket(bus.BucketRecipients)
	e, err := bucket.Get(h.ctx(), "r."+id)
	if err != nil {
		h.t.Fatal(err)
	}
	s := &outboundv1.StoredRecipient{}
	if err := proto.Unmarshal(e.Value, s); err != nil {
		h.t.Fatal(err)
	}
	s.GetRecipient().GetHttp().GetSigningSecrets()[0].ExpireTime = timestamppb.New(time.Now().Add(-time.Hour))
	b, err := proto.Marshal(s)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := bucket.Update(h.ctx(), "r."+id, b, e.Revision); err != nil {
		h.t.Fatal(err)
	}
}

func TestATokenEndsAfter90DaysUnlessItSaysOtherwise(t *testing.T) {
	h := start(t)
	create := func(in *outboundv1.Token) (*outboundv1.Token, error) {
		in.DisplayName = "T"
		made, err := h.access().CreateToken(h.ctx(), &outboundv1.CreateTokenRequest{Token: in})
		return made.GetToken(), err
	}
	byDefault, err := create(&outboundv1.Token{})
	if off := time.Until(byDefault.GetExpireTime().AsTime()) - 90*24*time.Hour; err != nil || off.Abs() > time.Minute {
		t.Errorf("by default it ends %v, %v", byDefault.GetExpireTime().AsTime(), err)
	}
	never, err := create(&outboundv1.Token{NeverExpires: true})
	if err != nil || never.GetExpireTime() != nil || !never.GetNeverExpires() {
		t.Errorf("one that never ends: %v, %v", never, err)
	}
	_, err = create(&outboundv1.Token{NeverExpires: true, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))})
	wantFields(t, err, "neverExpires")
}
