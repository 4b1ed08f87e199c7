package config_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// An alias maps another publisher's type to one of the catalogue, built-in types too, and to one alone.
func TestEventTypesHaveAliases(t *testing.T) {
	h := start(t)
	const builtIn, alias = "support_conference_end", "com.example.session.Ended"
	update := func(id string, aliases ...string) (*outboundv1.EventType, error) {
		return h.settings.UpdateEventType(h.ctx(), &outboundv1.UpdateEventTypeRequest{
			EventType: &outboundv1.EventType{Id: id, Aliases: aliases}, UpdateMask: mask("aliases"),
		})
	}
	changed, err := update(builtIn, alias, "a b/é")
	if err != nil || !slices.Equal(changed.GetAliases(), []string{alias, "a b/é"}) || !changed.GetBuiltIn() || changed.GetDisplayName() == "" {
		t.Fatalf("%v, %v", changed, err)
	}
	got, err := h.settings.GetEventType(h.ctx(), &outboundv1.GetEventTypeRequest{Id: builtIn})
	if err != nil || !slices.Equal(got.GetAliases(), changed.GetAliases()) || len(got.GetVariables()) != len(changed.GetVariables()) {
		t.Errorf("%v, %v", got, err)
	}
	list, err := h.settings.ListEventTypes(h.ctx(), &outboundv1.ListEventTypesRequest{})
	if err != nil || len(list.GetEventTypes()) != len(event.Catalogue()) {
		t.Errorf("%d types, %v", len(list.GetEventTypes()), err)
	}
	own := &outboundv1.EventType{Id: "door_opened", DisplayName: "Door opened", Aliases: []string{"com.example.door"}}
	if _, err := h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{EventType: own}); err != nil {
		t.Fatal(err)
	}
	for name, aliases := range map[string][]string{
		"another type's alias": {alias}, "another type's id": {builtIn}, "its own id": {"door_opened"}, "one twice": {"x", "x"},
		"a control character": {"a\nb"}, "an empty one": {""},
	} {
		_, err := update("door_opened", aliases...)
		if wantCode(t, err, codes.InvalidArgument); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	taken := &outboundv1.EventType{Id: "taken", DisplayName: "x", Aliases: []string{"door_closed"}}
	if _, err := h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{EventType: taken}); err != nil {
		t.Fatal(err)
	}
	_, err = h.settings.CreateEventType(h.ctx(), &outboundv1.CreateEventTypeRequest{
		EventType: &outboundv1.EventType{Id: "door_closed", DisplayName: "x"},
	})
	wantCode(t, err, codes.InvalidArgument)
	if changed, err = update(builtIn); err != nil || len(changed.GetAliases()) != 0 {
		t.Errorf("%v, %v", changed, err)
	}
}
