package rpc_test

import (
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestFaultsAreToldInWords(t *testing.T) {
	v, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string]proto.Message{
		"host: must be a host name or an IP address: only letters, digits and . : _ -": &outboundv1.SmtpSettings{Host: "a b"},
		"fromName: must be one line without control characters":                        &outboundv1.SmtpSettings{FromName: "a\nb"},
		"port: must be 0 to 65535": &outboundv1.SmtpSettings{Port: 70000},
		"dailyNotice.time: must be a time of day, HH:MM, e.g. " +
			"08:00": &outboundv1.SmtpSettings{DailyNotice: &outboundv1.DailyNotice{Time: "25:00"}},
		"retryInterval: must be 0.1s to 86400s": &outboundv1.EmailSettings{RetryInterval: durationpb.New(time.Millisecond)},
		"addresses: must not be empty":          &outboundv1.EmailRecipient{},
		"addresses: must have at most 10 items": &outboundv1.EmailRecipient{
			Addresses: strings.Split("a@b,b@b,c@b,d@b,e@b,f@b,g@b,h@b,i@b,j@b,k@b", ","),
		},
		"addresses: must not contain duplicates": &outboundv1.EmailRecipient{Addresses: []string{"a@b", "a@b"}},
	} {
		got, err := v.Check(m, "")
		if err != nil || len(got) != 1 || got[0].Field+": "+got[0].Description != want {
			t.Errorf("told %+v, want %s (%v)", got, want, err)
		}
	}
}

// TestEveryPatternHasWords breaks each pattern of the proto files once, wherever it stands.
func TestEveryPatternHasWords(t *testing.T) {
	v, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	met := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("outbound.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			met += breakPatterns(t, v, f.Messages().Get(i))
		}
		return true
	})
	if met < 10 {
		t.Errorf("met %d patterns: the test looks at the wrong files", met)
	}
}

// breakPatterns gives each field of a message that has a pattern a value that breaks it, and tells how many there were.
func breakPatterns(t *testing.T, v *rpc.Validator, d protoreflect.MessageDescriptor) (met int) {
	t.Helper()
	for i := range d.Messages().Len() {
		if inner := d.Messages().Get(i); !inner.IsMapEntry() {
			met += breakPatterns(t, v, inner)
		}
	}
	bad := protoreflect.ValueOfString("\x01 \n:é")
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		rules, err := protovalidate.ResolveFieldRules(f)
		if err != nil {
			t.Fatal(err)
		}
		m := dynamicpb.NewMessage(d)
		switch {
		case rules.GetString().GetPattern() != "":
			m.Set(f, bad)
		case rules.GetRepeated().GetItems().GetString().GetPattern() != "":
			m.Mutable(f).List().Append(bad)
		case rules.GetMap().GetKeys().GetString().GetPattern() != "":
			entries := m.Mutable(f).Map()
			entries.Set(bad.MapKey(), entries.NewValue())
		case rules.GetMap().GetValues().GetString().GetPattern() != "":
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("a").MapKey(), bad)
		default:
			continue
		}
		if rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
			continue
		}
		met++
		told, err := v.Check(m, "")
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, x := range told {
			found = found || x.Reason == "STRING_PATTERN"
			if strings.Contains(x.Description, "regex") {
				t.Errorf("%s: %s has no words", f.FullName(), x.Description)
			}
		}
		if !found {
			t.Errorf("%s: no pattern was broken: %v", f.FullName(), told)
		}
	}
	return met
}
