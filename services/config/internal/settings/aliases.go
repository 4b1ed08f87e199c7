package settings

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// oncePerID merges what is stored of a built-in type into it: its aliases. All else of it is the catalogue's.
func oncePerID(types []*outboundv1.EventType) []*outboundv1.EventType {
	out := make([]*outboundv1.EventType, 0, len(types))
	at := make(map[string]int, len(types))
	for _, t := range types {
		i, known := at[t.GetId()]
		if !known {
			at[t.GetId()] = len(out)
			out = append(out, t)
			continue
		}
		merged, _ := proto.Clone(out[i]).(*outboundv1.EventType)
		merged.Aliases, merged.Etag = t.GetAliases(), t.GetEtag()
		out[i] = merged
	}
	return out
}

// checkAliases reports aliases that are no CloudEvents types, and those that would name two types.
func (s *EventTypes) checkAliases(ctx context.Context, v *validation.Violations, t *outboundv1.EventType) error {
	all, err := s.eventTypes(ctx)
	if err != nil {
		return err
	}
	taken := map[string]string{}
	for _, other := range all {
		if other.GetId() == t.GetId() {
			continue
		}
		taken[other.GetId()] = "is the id of another event type: choose another alias"
		for _, alias := range other.GetAliases() {
			taken[alias] = "is an alias of event type " + other.GetId() + ": remove it there first"
		}
	}
	if fault, ok := taken[t.GetId()]; ok && strings.HasPrefix(fault, "is an alias") {
		v.Add("id", validation.Duplicate, fault)
	}
	seen := map[string]bool{}
	for i, alias := range t.GetAliases() {
		field := fmt.Sprintf("aliases[%d]", i)
		switch {
		case strings.ContainsFunc(alias, unicode.IsControl):
			v.Add(field, validation.Invalid, "has control characters: use a CloudEvents type, e.g. com.example.session.ended")
		case alias == t.GetId():
			v.Add(field, validation.Duplicate, "is the type's own id: remove it")
		case seen[alias]:
			v.Add(field, validation.Duplicate, "is given twice")
		case taken[alias] != "":
			v.Add(field, validation.Duplicate, taken[alias])
		}
		seen[alias] = true
	}
	return nil
}

// updateBuiltIn changes the aliases of a built-in type. Nothing else of it can be changed.
func (s *EventTypes) updateBuiltIn(ctx context.Context, t *outboundv1.EventType, q *outboundv1.UpdateEventTypeRequest) (
	*outboundv1.EventType, error) {
	in := q.GetEventType()
	p, _, err := s.parts.Change(ctx, store.PrefixType+t.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if in.GetEtag() != "" && in.GetEtag() != store.Etag(revision) {
			return rpc.Aborted(kindEventType, t.GetId())
		}
		next := oncePerID(append([]*outboundv1.EventType{t}, p.GetEventTypes()...))[0]
		next, _ = proto.Clone(next).(*outboundv1.EventType)
		v := validation.Merge(next, in, q.GetUpdateMask())
		as, _ := proto.Clone(next).(*outboundv1.EventType)
		as.Aliases, as.Etag = nil, ""
		if !proto.Equal(as, t) {
			return rpc.FailedPrecondition("BUILT_IN",
				fmt.Sprintf("event type %s is built in and only its aliases can be changed: create a custom one", t.GetId()))
		}
		if err := s.check(ctx, v, next); err != nil {
			return err
		}
		next.Etag = ""
		p.EventTypes = []*outboundv1.EventType{next}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return oncePerID(append([]*outboundv1.EventType{t}, p.GetEventTypes()...))[0], nil
}
