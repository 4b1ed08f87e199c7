package config

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// What is done to a resource, as revisions name it.
const (
	actionCreated    = "created"
	actionChanged    = "changed"
	actionDeleted    = "deleted"
	actionRemoved    = "removed"
	actionRolledBack = "rolled back"
	actionPurged     = "purged"
	actionCut        = "cut"
)

// done is what a change is, where that is more than its kind of write says.
type done struct {
	action string
	// to is the revision that was rolled back to.
	to uint64
}

// note is what is kept with a change; usual is what it is called if it has no name of its own.
func (d done) note(ctx context.Context, usual string) bus.Note {
	if d.action == "" {
		d.action = usual
	}
	return bus.Note{Actor: rpc.Actor(ctx), Action: d.action, RolledBackTo: d.to}
}

// The kinds of resources that have revisions, as the beginnings of their names.
const (
	ofRecipients = "recipients/"
	ofTypes      = "event-types/"
	ofAppliances = "appliances/"
	ofUsers      = "users/"
	ofTokens     = "tokens/"
	ofSMTP       = "settings/smtp"
	ofEmail      = "settings/email"
	ofFields     = "custom-fields"
)

// kept says under which keys of the bucket of settings resources are, by the beginning of their names.
func kept() []struct{ resource, key string } {
	return []struct{ resource, key string }{{ofTypes, prefixType}, {ofAppliances, prefixAppliance}, {ofUsers, prefixUser}, {ofTokens, prefixToken}}
}

// The keys of users and tokens in the bucket of settings.
const (
	prefixUser  = "user."
	prefixToken = "token."
)

// safeID reports whether a key can be made of an id.
func safeID(id string) bool {
	for part := range strings.SplitSeq(id, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '@'
		}) {
			return false
		}
	}
	return true
}

// place is where a resource is kept.
type place struct {
	bucket   *bucket
	key      string
	resource string
}

// placeOf finds where a resource is kept.
func (s *Service) placeOf(resource string) (place, error) {
	p := place{bucket: s.settings, resource: resource}
	switch resource {
	case ofSMTP:
		p.key = keySMTP
		return p, nil
	case ofEmail:
		p.key = keyEmail
		return p, nil
	case ofFields:
		p.key = keyCustomFields
		return p, nil
	}
	if id, ok := strings.CutPrefix(resource, ofRecipients); ok && safeID(id) {
		p.bucket, p.key = s.recipients, prefixRecipient+id
		return p, nil
	}
	for _, k := range kept() {
		if id, ok := strings.CutPrefix(resource, k.resource); ok && safeID(id) {
			p.key = k.key + id
			return p, nil
		}
	}
	return p, rpc.InvalidArgument(rpc.Violation{Field: "resource", Reason: reasonInvalid,
		Description: fmt.Sprintf("%q is not a resource: use recipients/ID, event-types/ID, appliances/ID, users/NAME, tokens/ID, settings/smtp, settings/email or custom-fields", resource)})
}

// resourceOf names what a key of a bucket holds; false if that is no resource.
func (b *bucket) resourceOf(key string) (string, bool) {
	if b.name == bus.BucketRecipients {
		id, ok := strings.CutPrefix(key, prefixRecipient)
		return ofRecipients + id, ok
	}
	switch key {
	case keySMTP:
		return ofSMTP, true
	case keyEmail:
		return ofEmail, true
	case keyCustomFields:
		return ofFields, true
	}
	for _, k := range kept() {
		if id, ok := strings.CutPrefix(key, k.key); ok {
			return k.resource + id, true
		}
	}
	return "", false
}

// mayRead reports whether a caller may see a resource's revisions: who may see what it is.
func mayRead(ctx context.Context, resource string) bool {
	if !strings.HasPrefix(resource, ofUsers) && !strings.HasPrefix(resource, ofTokens) {
		return true
	}
	p, ok := rpc.PrincipalFrom(ctx)
	return ok && p.Role == rpc.RoleAdmin
}

// defaultRevisions is how many revisions a page has if nobody says.
const defaultRevisions = 50

// ListRevisions implements outboundv1.SettingsServiceServer. The revisions are the values that the buckets keep.
func (s settingsServer) ListRevisions(ctx context.Context, q *outboundv1.ListRevisionsRequest) (*outboundv1.ListRevisionsResponse, error) {
	sources, err := s.sources(q.GetResource())
	if err != nil {
		return nil, err
	}
	if err := resume(sources, q.GetPageToken()); err != nil {
		return nil, err
	}
	size, bytes := int(q.GetPageSize()), 0
	if size == 0 {
		size = defaultRevisions
	}
	out := &outboundv1.ListRevisionsResponse{}
	for {
		from, err := newest(ctx, sources, size+1)
		if err != nil {
			return nil, failed(ctx, err)
		}
		if from == nil {
			return out, nil
		}
		if len(out.Revisions) == size || bytes > maxPageBytes {
			out.NextPageToken = tokenOf(sources)
			return out, nil
		}
		r, err := s.revision(ctx, from.bucket, from.take())
		if err != nil {
			return nil, failed(ctx, err)
		}
		bytes += proto.Size(r)
		out.Revisions = append(out.Revisions, r)
	}
}

// source gives the changes of one bucket, newest first.
type source struct {
	bucket *bucket
	// keys is the pattern of the keys that are asked for.
	keys string
	// before is the revision before which to go on; 0: at the end.
	before uint64
	read   []bus.Change
	ended  bool
}

// sources are where the revisions of a resource are, or of all.
func (s *Service) sources(resource string) ([]*source, error) {
	if resource == "" {
		return []*source{{bucket: s.recipients, keys: prefixRecipient + ">"}, {bucket: s.settings, keys: ">"}}, nil
	}
	p, err := s.placeOf(resource)
	return []*source{{bucket: p.bucket, keys: p.key}}, err
}

// peek looks at the next change of a resource that the caller may see; false: there is no more.
func (x *source) peek(ctx context.Context, ahead int) (bool, error) {
	for {
		for len(x.read) > 0 {
			if resource, ok := x.bucket.resourceOf(x.read[0].Key); ok && mayRead(ctx, resource) {
				return true, nil
			}
			x.take()
		}
		if x.ended {
			return false, nil
		}
		read, err := within(ctx, func(ctx context.Context) ([]bus.Change, error) {
			kv, err := x.bucket.open(ctx)
			if err != nil {
				return nil, err
			}
			return kv.Changes(ctx, x.keys, x.before, ahead)
		})
		if err != nil {
			return false, err
		}
		x.read, x.ended = read, len(read) < ahead
	}
}

func (x *source) take() bus.Change {
	c := x.read[0]
	x.read, x.before = x.read[1:], c.Revision
	// Nothing comes before the first.
	x.ended = x.ended || c.Revision == 1
	return c
}

// newest is the source whose next change is the newest; nil: there is none.
func newest(ctx context.Context, sources []*source, ahead int) (*source, error) {
	var found *source
	for _, x := range sources {
		more, err := x.peek(ctx, ahead)
		if err != nil {
			return nil, err
		}
		if more && (found == nil || x.read[0].Time.After(found.read[0].Time)) {
			found = x
		}
	}
	return found, nil
}

// tokenOf writes down where each source stands.
func tokenOf(sources []*source) string {
	at := make([]uint64, len(sources))
	for i, x := range sources {
		at[i] = x.before
	}
	// Numbers can be written as JSON.
	raw, _ := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func resume(sources []*source, token string) error {
	if token == "" {
		return nil
	}
	var at []uint64
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(raw, &at)
	}
	if err != nil || len(at) != len(sources) {
		return rpc.InvalidArgument(rpc.Violation{Field: "pageToken", Reason: reasonInvalid, Description: "is not valid for this list: leave it empty for the first page"})
	}
	for i, x := range sources {
		x.before = at[i]
		x.ended = at[i] == 1
	}
	return nil
}

// revision tells a change and how it differs from the one before.
func (s *Service) revision(ctx context.Context, b *bucket, c bus.Change) (*outboundv1.Revision, error) {
	before, err := within(ctx, func(ctx context.Context) (bus.Change, error) {
		kv, err := b.open(ctx)
		if err != nil {
			return bus.Change{}, err
		}
		before, _, err := kv.ChangeBefore(ctx, c.Key, c.Revision)
		return before, err
	})
	if err != nil {
		return nil, err
	}
	is, err := b.revisionViewOf(c)
	if err != nil {
		return nil, err
	}
	was, err := b.revisionViewOf(before)
	if err != nil {
		return nil, err
	}
	resource, _ := b.resourceOf(c.Key)
	out := &outboundv1.Revision{
		Resource: resource, Revision: c.Revision, Actor: c.Actor, Action: c.Action, RolledBackTo: c.RolledBackTo, Time: timestamppb.New(c.Time),
	}
	if out.GetAction() == "" {
		// Releases before this one did not note it.
		out.Action = actionFrom(was, is)
	}
	if !is.gone {
		out.ResourceJson = is.text
	}
	// What a recipient that is being deleted is removed with was told when that was asked for.
	if !is.none || !was.gone {
		out.Changes = difference(was, is)
	}
	return out, nil
}

func actionFrom(was, is revisionView) string {
	switch {
	case is.none && was.gone && !was.none:
		return actionRemoved
	case is.gone:
		return actionDeleted
	case was.gone:
		return actionCreated
	default:
		return actionChanged
	}
}
