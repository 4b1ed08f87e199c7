package declare

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// planner compares declarations with the stored resources.
type planner struct {
	client  *client.Client
	secrets bool
	// prune adds steps that delete stored resources that no file names.
	prune bool
	// stored is how many resources of each kind are stored, of the kinds that prune looks at.
	stored map[string]int
	// malformed are declarations that are not valid resources.
	malformed []error
}

func (p *planner) refuse(err error) { p.malformed = append(p.malformed, err) }

func (p *planner) plan(ctx context.Context, w wanted) ([]*step, error) {
	var steps []*step
	for _, part := range []func(context.Context, wanted) ([]*step, error){
		p.eventTypes, p.customFields, p.settings, p.appliances, p.recipients,
	} {
		more, err := part(ctx, w)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	if p.prune && len(p.malformed) == 0 {
		more, err := p.leftovers(ctx, w, steps)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// wantedResource is a resource of a declaration, and the stored one.
type wantedResource struct {
	// kind and id name it for people; collection and path are its addresses.
	kind, id         string
	collection, path string
	declaration
	// want is filled from the declaration; have is nil if nothing is stored; saved receives the answer.
	want, have, saved proto.Message
	// notes returns what the user has to know about saved.
	notes func() []string
}

// step plans a resource; nil if its declaration is not valid.
func (p *planner) step(r wantedResource) *step {
	name := strings.TrimSpace(r.kind + " " + r.id)
	if err := resource.Fill(r.tree, r.want, fmt.Sprintf("%s (%s)", r.where, name)); err != nil {
		p.refuse(err)
		return nil
	}
	s := &step{Resource: name, id: r.id, kind: r.kind, where: r.where}
	s.Missing = missingSecrets(r.want, r.have)
	md := r.want.ProtoReflect().Descriptor()
	mask := resource.Mask(r.tree, md, "")
	if r.have == nil {
		s.Action = actionCreate
		s.Changes = comparison{want: r.want, have: r.want.ProtoReflect().New().Interface(), mask: mask, secrets: true}.changes()
		s.planned = plannedCreation(r.want)
		s.do = func(ctx context.Context, s *step) error {
			return p.save(ctx, s, r, func() error { return p.client.Call(ctx, http.MethodPost, r.collection, r.want, r.saved) })
		}
		return s
	}
	s.Action = actionNone
	s.Changes = comparison{want: r.want, have: r.have, mask: mask, secrets: p.secrets}.changes()
	if len(s.Changes) == 0 {
		return s
	}
	s.Action = actionChange
	paths := make([]string, 0, len(s.Changes))
	for _, c := range s.Changes {
		paths = append(paths, c.path)
	}
	carryEtag(r.want, r.have)
	s.planned = plannedUpdate(r.want, r.id, paths)
	s.do = func(ctx context.Context, s *step) error {
		return p.save(ctx, s, r, func() error { return p.client.Patch(ctx, r.path, r.want, paths, r.saved) })
	}
	return s
}

// add appends a step, unless it is nil.
func add(steps []*step, s *step) []*step {
	if s == nil {
		return steps
	}
	return append(steps, s)
}

func (p *planner) save(ctx context.Context, s *step, r wantedResource, act func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	if r.notes != nil {
		s.Notes = r.notes()
	}
	return nil
}

// carryEtag makes an update fail if somebody changes the resource after the comparison. An etag in the file is kept.
func carryEtag(want, have proto.Message) {
	w, h := want.ProtoReflect(), have.ProtoReflect()
	fd := w.Descriptor().Fields().ByName("etag")
	if fd != nil && w.Get(fd).String() == "" {
		w.Set(fd, protoreflect.ValueOfString(h.Get(fd).String()))
	}
}

func (p *planner) eventTypes(ctx context.Context, w wanted) ([]*step, error) {
	if len(w.eventTypes) == 0 {
		return nil, nil
	}
	have := &outboundv1.ListEventTypesResponse{}
	if err := p.client.Call(ctx, http.MethodGet, "/v1/event-types", nil, have); err != nil {
		return nil, err
	}
	steps := make([]*step, 0, len(w.eventTypes))
	for _, t := range w.eventTypes {
		id, _ := t.tree["id"].(string)
		if id == "" {
			p.refuse(exit.Usagef("%s: an event type has no id: set it to the type that events carry", t.where))
			continue
		}
		r := wantedResource{
			kind: kindEventType, id: id, collection: "/v1/event-types", path: "/v1/event-types/" + url.PathEscape(id), declaration: t,
			want: &outboundv1.EventType{}, saved: &outboundv1.EventType{},
		}
		for _, x := range have.GetEventTypes() {
			if x.GetId() == id {
				r.have = x
			}
		}
		steps = add(steps, p.step(r))
	}
	return steps, nil
}

func (p *planner) customFields(ctx context.Context, w wanted) ([]*step, error) {
	if len(w.customFields) == 0 {
		return nil, nil
	}
	have := &outboundv1.ListCustomFieldsResponse{}
	if err := p.client.Call(ctx, http.MethodGet, "/v1/custom-fields", nil, have); err != nil {
		return nil, err
	}
	steps := make([]*step, 0, len(w.customFields))
	for _, t := range w.customFields {
		code, _ := t.tree["codeName"].(string)
		name, _ := t.tree["displayName"].(string)
		r := wantedResource{
			kind: kindCustomField, id: code, collection: "/v1/custom-fields", path: "/v1/custom-fields/" + url.PathEscape(code), declaration: t,
			want: &outboundv1.CustomField{}, saved: &outboundv1.CustomField{},
		}
		for _, x := range have.GetCustomFields() {
			if code == x.GetCodeName() || code == "" && sameName(name, x.GetDisplayName()) {
				r.have, r.id, r.path = x, x.GetCodeName(), "/v1/custom-fields/"+url.PathEscape(x.GetCodeName())
			}
		}
		if r.id == "" {
			r.id = fmt.Sprintf("%q", name)
		}
		steps = add(steps, p.step(r))
	}
	return steps, nil
}

func (p *planner) settings(ctx context.Context, w wanted) ([]*step, error) {
	var steps []*step
	for _, x := range []struct {
		trees      []declaration
		kind, path string
		empty      func() proto.Message
	}{
		{w.smtp, "smtp settings", "/v1/settings/smtp", func() proto.Message { return &outboundv1.SmtpSettings{} }},
		{w.email, "email settings", "/v1/settings/email", func() proto.Message { return &outboundv1.EmailSettings{} }},
	} {
		if len(x.trees) > 1 {
			p.refuse(exit.Usagef("%s: %s is given %d times: give it once", x.trees[1].where, x.kind, len(x.trees)))
			continue
		}
		for _, t := range x.trees {
			have := x.empty()
			if err := p.client.Call(ctx, http.MethodGet, x.path, nil, have); err != nil {
				return nil, err
			}
			steps = add(steps, p.step(wantedResource{kind: x.kind, path: x.path, declaration: t, want: x.empty(), have: have, saved: x.empty()}))
		}
	}
	return steps, nil
}

// sameName compares display names as the server does.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
