package resource_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func TestFillWritesNamedFields(t *testing.T) {
	got := &outboundv1.Recipient{}
	tree := resource.Tree{"displayName": "CRM", "http": resource.Tree{"url": "https://crm.example", "retryInterval": "2m", "timeout": "15s"}}
	if err := resource.Fill(tree, got, "crm.yaml"); err != nil {
		t.Fatal(err)
	}
	want := &outboundv1.Recipient{DisplayName: "CRM", Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
		Url: "https://crm.example", RetryInterval: durationpb.New(2 * time.Minute), Timeout: durationpb.New(15 * time.Second),
	}}}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFillRefusesWhatDoesNotFit(t *testing.T) {
	for name, tree := range map[string]resource.Tree{
		"displayNam": {"displayNam": "CRM"},
		"format":     {"http": resource.Tree{"format": "XML"}},
		"urll":       {"http": resource.Tree{"urll": "https://crm.example"}},
		"enabled":    {"enabled": "perhaps"},
		"Duration":   {"http": resource.Tree{"timeout": "soon"}},
	} {
		err := resource.Fill(tree, &outboundv1.Recipient{}, "crm.yaml")
		if exit.Code(err) != exit.CodeUsage || !strings.HasPrefix(err.Error(), "crm.yaml: ") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMaskNamesWhatAnUpdateChanges(t *testing.T) {
	tree := resource.Tree{
		"id": "crm", "etag": "7", "updateTime": "x", "displayName": "CRM", "unknown": 1, "event_types": []any{"a"},
		"http": resource.Tree{
			"url": "https://crm.example", "headers": resource.Tree{"a": "b"}, "backoff": resource.Tree{"multiplier": 2},
			"rateLimit": resource.Tree{},
			"auth":      resource.Tree{"bearer": resource.Tree{"token": "x"}}, "retryInterval": "2m",
		},
	}
	got := resource.Mask(tree, (&outboundv1.Recipient{}).ProtoReflect().Descriptor(), "")
	want := []string{
		"display_name", "event_types", "http.auth", "http.backoff.multiplier", "http.headers", "http.rate_limit",
		"http.retry_interval", "http.url",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSetMakesTheTreesBetween(t *testing.T) {
	tree := resource.Tree{"a": "text"}
	resource.Set(tree, "b.c.d", 1)
	resource.Set(tree, "b.c.e", 2)
	resource.Set(tree, "a.x", 3)
	want := resource.Tree{"a": resource.Tree{"x": 3}, "b": resource.Tree{"c": resource.Tree{"d": 1, "e": 2}}}
	if !reflect.DeepEqual(tree, want) {
		t.Errorf("got %v, want %v", tree, want)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "60s", 1500 * time.Millisecond: "1.5s"} {
		if got := resource.Seconds(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestSecretsAndFixedFields(t *testing.T) {
	smtp := (&outboundv1.SmtpSettings{PasswordSet: true}).ProtoReflect()
	password, host := smtp.Descriptor().Fields().ByName("password"), smtp.Descriptor().Fields().ByName("host")
	if !resource.Secret(password) || resource.Secret(host) || !resource.HasSecret(smtp.Descriptor()) {
		t.Error("the password is a secret, and the host is none")
	}
	if !resource.Stored(password, smtp) || resource.Stored(host, smtp) || resource.Stored(password, smtp.New()) {
		t.Error("the password alone is stored")
	}
	fields := (&outboundv1.Recipient{}).ProtoReflect().Descriptor().Fields()
	for name, want := range map[string]bool{"id": true, "etag": true, "update_time": true, "display_name": false} {
		if got := resource.Fixed(fields.ByTextName(name)); got != want {
			t.Errorf("%s is fixed: %t, want %t", name, got, want)
		}
	}
	for name, want := range map[string]bool{"http": true, "event_types": false, "update_time": false, "id": false} {
		if got := resource.Nested(fields.ByTextName(name)); got != want {
			t.Errorf("%s has fields of its own: %t, want %t", name, got, want)
		}
	}
}

func TestNotesShowWarningsAndNewSecrets(t *testing.T) {
	notes := resource.Notes(&outboundv1.Recipient{
		Warnings: []string{"the certificate ends soon"},
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{SigningSecrets: []*outboundv1.SigningSecret{
			{Id: "stored"}, {Id: "new", Secret: "whsec_x"}, {Id: "key", PublicKey: "whpk_y"},
		}}},
	})
	if len(notes) != 3 || !strings.Contains(notes[0], "ends soon") || !strings.Contains(notes[1], "whsec_x") ||
		!strings.Contains(notes[2], "whpk_y") {
		t.Errorf("got %q", notes)
	}
}
