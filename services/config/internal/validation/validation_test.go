package validation_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

func fields(err error) (out []string) {
	for _, v := range rpc.ViolationsOf(err) {
		out = append(out, v.Field+" "+v.Reason)
	}
	return out
}

func TestAFieldHasOneViolation(t *testing.T) {
	var v validation.Violations
	if v.Err() != nil {
		t.Error("nothing is wrong, and an error is returned")
	}
	v.Check("a", nil)
	v.Check("a", errors.New("is wrong"))
	v.Add("a", validation.Missing, "is empty")
	v.Addresses("to", []string{"ops@example.com", "ops@EXAMPLE.com", "nobody"})
	want := []string{"a INVALID", "to[1] DUPLICATE", "to[2] INVALID"}
	if got := fields(v.Err()); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestTheRulesOfTheContractAreChecked(t *testing.T) {
	rules, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	var v validation.Violations
	if err := v.Rules(rules, &outboundv1.EventType{Id: "not valid"}, "id"); err != nil {
		t.Fatal(err)
	}
	if got := fields(v.Err()); len(got) == 0 {
		t.Error("an id with a blank is valid")
	}
}

func TestAMaskSaysWhatIsMerged(t *testing.T) {
	before := &outboundv1.SmtpSettings{
		Host: "old", FromName: "Old", Username: "me", Etag: "1", Oauth2: &outboundv1.RelayOAuth2{ClientId: "a", TokenUrl: "https://a"},
	}
	source := &outboundv1.SmtpSettings{Host: "new", FromName: "New", Etag: "2", Oauth2: &outboundv1.RelayOAuth2{ClientId: "b"}}
	all := &outboundv1.SmtpSettings{Host: "new", FromName: "New", Etag: "1", Oauth2: &outboundv1.RelayOAuth2{ClientId: "b"}}
	with := func(change func(p *outboundv1.SmtpSettings)) *outboundv1.SmtpSettings {
		p, _ := proto.Clone(before).(*outboundv1.SmtpSettings)
		change(p)
		return p
	}
	for _, c := range []struct {
		name, path string
		want       *outboundv1.SmtpSettings
		fault      bool
	}{
		{"no mask replaces all", "", all, false},
		{"a star replaces all", "*", all, false},
		{"a path replaces a field", "host", with(func(p *outboundv1.SmtpSettings) { p.Host = "new" }), false},
		{"a path may have the spelling of JSON", "fromName", with(func(p *outboundv1.SmtpSettings) { p.FromName = "New" }), false},
		{"a path goes into a message", "oauth2.client_id", with(func(p *outboundv1.SmtpSettings) { p.Oauth2.ClientId = "b" }), false},
		{"an etag is not replaced", "etag", before, false},
		{"a path that names no field is a fault", "nothing", before, true},
		{"a path does not go into a text", "host.name", before, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var paths []string
			if c.path != "" {
				paths = append(paths, c.path)
			}
			p, _ := proto.Clone(before).(*outboundv1.SmtpSettings)
			v := validation.Merge(p, source, &fieldmaskpb.FieldMask{Paths: paths})
			if (v.Err() != nil) != c.fault || !proto.Equal(p, c.want) {
				t.Errorf("merged to %v, want %v: %v", p, c.want, v.Err())
			}
		})
	}
}

func TestDurations(t *testing.T) {
	var d *durationpb.Duration
	validation.FillDuration(&d, time.Minute)
	validation.FillDuration(&d, time.Hour)
	if d.AsDuration() != time.Minute || !validation.Longer(durationpb.New(time.Hour), d) {
		t.Errorf("filled with %s", d.AsDuration())
	}
}
