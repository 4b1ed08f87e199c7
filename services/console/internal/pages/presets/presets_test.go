package presets_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/recipient/preset"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// config is a fake service that keeps what is created.
type config struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer

	mu     sync.Mutex
	made   []*outboundv1.Recipient
	refuse error
}

func (c *config) CreateRecipient(_ context.Context, q *outboundv1.CreateRecipientRequest) (*outboundv1.Recipient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return nil, c.refuse
	}
	c.made = append(c.made, q.GetRecipient())
	return &outboundv1.Recipient{Id: "made", DisplayName: q.GetRecipient().GetDisplayName()}, nil
}

func (c *config) ListEventTypes(context.Context, *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	return &outboundv1.ListEventTypesResponse{EventTypes: []*outboundv1.EventType{{Id: "begin", DisplayName: "Session begins"}}}, nil
}

func (c *config) open(t *testing.T) *consoletest.System {
	return consoletest.Start(t, consoletest.Options{Register: func(r grpc.ServiceRegistrar) {
		outboundv1.RegisterRecipientServiceServer(r, c)
		outboundv1.RegisterSettingsServiceServer(r, c)
	}})
}

func TestARecipientIsCreatedFromEachPreset(t *testing.T) {
	c := &config{}
	b := c.open(t).As("operator")
	list := b.Get("/presets")
	for _, p := range preset.All() {
		path := "/presets/" + p.Name
		if !strings.Contains(list.Body, `href="`+path+`"`) {
			t.Errorf("the list has no %s", p.Name)
		}
		f := b.Get(path).FormOf(t, "preset-form")
		for _, x := range p.Fields {
			if len(f["preset."+x.Name]) > 0 && f.Get("preset."+x.Name) != "" {
				continue
			}
			value := "value-of-" + x.Name
			if x.URL {
				value = "https://peer.example/" + x.Name
			}
			f.Set("preset."+x.Name, value)
		}
		f.Set("displayName", "My "+p.Title)
		f.Set("eventTypes", "begin")
		if page := b.Post(path, f); page.Status != http.StatusSeeOther || page.Header.Get("Location") != "/recipients/made" {
			t.Fatalf("%s: %d %s", p.Name, page.Status, page.Body)
		}
		made := c.made[len(c.made)-1]
		if made.GetDisplayName() != "My "+p.Title || made.GetEnabled() || len(made.GetEventTypes()) != 1 ||
			made.GetHttp().GetBodyTemplate() == "" || !strings.HasPrefix(made.GetHttp().GetUrl(), "https://") {
			t.Errorf("%s: created is %v", p.Name, made)
		}
	}
	if len(c.made) != len(preset.All()) {
		t.Errorf("%d recipients were created", len(c.made))
	}
}

func TestWhatIsWrongIsSaidAtItsField(t *testing.T) {
	c := &config{}
	b := c.open(t).As("operator")
	page := b.Post("/presets/pagerduty", url.Values{"displayName": {"P"}, "preset.url": {"nowhere"}, "preset.severity": {"info"}})
	for _, want := range []string{"is missing: integration key", "is not a URL", `href="#f-preset-url"`} {
		if page.Status != http.StatusUnprocessableEntity || !strings.Contains(strings.ToLower(page.Body), strings.ToLower(want)) {
			t.Errorf("%d: the page does not say %q", page.Status, want)
		}
	}
	c.refuse = rpc.InvalidArgument(rpc.Violation{Field: "displayName", Reason: "X", Description: "is taken by another"})
	page = b.Post("/presets/pagerduty", url.Values{"displayName": {"P"}, "eventTypes": {"begin"},
		"preset.routing_key": {"cAnArY-key"}, "preset.url": {"https://x.example"}})
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, "s taken by another") {
		t.Errorf("%d: %s", page.Status, page.Body)
	}
	if strings.Contains(page.Body, "cAnArY-key") {
		t.Error("a secret comes back")
	}
	if got := b.Get("/presets/slak"); got.Status != http.StatusNotFound || !strings.Contains(got.Body, "did you mean slack?") {
		t.Errorf("an unknown preset: %d", got.Status)
	}
	if got := c.open(t).As("viewer").Post("/presets/slack", url.Values{}); got.Status != http.StatusForbidden {
		t.Errorf("a viewer gets %d", got.Status)
	}
}
