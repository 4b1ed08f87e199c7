package store

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Parts are the settings in a store. Each key holds one part of a WatchSettingsResponse.
type Parts struct{ entries Store }

// NewParts returns the settings in a store.
func NewParts(entries Store) *Parts { return &Parts{entries: entries} }

// Entries returns the store.
func (s *Parts) Entries() Store { return s.entries }

// Get returns one part and its revision. A part that was never stored is empty, at revision 0.
func (s *Parts) Get(ctx context.Context, key string) (*outboundv1.WatchSettingsResponse, uint64, error) {
	e, err := s.entries.Get(ctx, key)
	if errors.Is(err, bus.ErrNotFound) {
		return &outboundv1.WatchSettingsResponse{}, 0, nil
	}
	if err != nil {
		return nil, 0, AsStatus(ctx, err)
	}
	p, err := DecodePart(e)
	return p, e.Revision, err
}

// Part is one part of the settings and its revision.
type Part struct {
	*outboundv1.WatchSettingsResponse
	Revision uint64
}

// List returns the parts whose keys have a prefix, by key.
func (s *Parts) List(ctx context.Context, prefix string) ([]Part, error) {
	entries, err := s.entries.List(ctx, prefix)
	if err != nil {
		return nil, AsStatus(ctx, err)
	}
	out := make([]Part, 0, len(entries))
	for _, e := range entries {
		p, err := DecodePart(e)
		if err != nil {
			return nil, err
		}
		out = append(out, Part{WatchSettingsResponse: p, Revision: e.Revision})
	}
	return out, nil
}

// DecodePart decodes the value of a settings key.
func DecodePart(e bus.Entry) (*outboundv1.WatchSettingsResponse, error) {
	p := &outboundv1.WatchSettingsResponse{}
	if err := proto.Unmarshal(e.Value, p); err != nil {
		return nil, fmt.Errorf("read the settings %s: %w", e.Key, err)
	}
	stampEtags(p, Etag(e.Revision))
	return p, nil
}

// stampEtags writes the etag of a part into its resource. Custom fields share one key and have etags of their own.
func stampEtags(p *outboundv1.WatchSettingsResponse, etag string) {
	if p.GetSmtp() != nil {
		p.Smtp.Etag = etag
	}
	if p.GetEmail() != nil {
		p.Email.Etag = etag
	}
	for _, t := range p.GetEventTypes() {
		t.Etag = etag
	}
	for _, a := range p.GetAppliances() {
		a.GetAppliance().Etag = etag
	}
}

// What the function of a change may answer instead of changing the part.
var (
	// ErrRemove removes the key.
	ErrRemove = errors.New("gone")
	// ErrUnchanged leaves the part as it is.
	ErrUnchanged = errors.New("unchanged")
)

// ChangeFunc changes a part. It gets the part's revision, 0 if the key does not exist, and checks etags.
type ChangeFunc func(p *outboundv1.WatchSettingsResponse, revision uint64) error

// Change changes a part by compare-and-set, again and again while others are faster, and returns it with its revision. A change that
// changes nothing is not written: the stored part and its revision are returned.
func (s *Parts) Change(ctx context.Context, key string, f ChangeFunc) (*outboundv1.WatchSettingsResponse, uint64, error) {
	return s.change(ctx, Mutation{Key: key}, f)
}

// ChangeAs changes a part with a note. It is written even if it changes nothing.
func (s *Parts) ChangeAs(ctx context.Context, key string, note ChangeNote, f ChangeFunc) (uint64, error) {
	_, revision, err := s.change(ctx, Mutation{Key: key, Note: note}, f)
	return revision, err
}

func (s *Parts) change(ctx context.Context, m Mutation, f ChangeFunc) (*outboundv1.WatchSettingsResponse, uint64, error) {
	for {
		p, revision, err := s.Get(ctx, m.Key)
		if err != nil {
			return nil, 0, err
		}
		before, _ := proto.Clone(p).(*outboundv1.WatchSettingsResponse)
		err = f(p, revision)
		switch {
		case errors.Is(err, ErrUnchanged), err == nil && m.Note == ChangeNote{} && samePart(before, p):
			return before, revision, nil
		case errors.Is(err, ErrRemove):
			m.Remove, m.Revision = true, revision
			_, err = s.entries.Apply(ctx, m)
		case err != nil:
			return nil, 0, AsStatus(ctx, err)
		default:
			revision, err = s.write(ctx, m, p, revision)
		}
		if !errors.Is(err, bus.ErrConflict) {
			return p, revision, AsStatus(ctx, err)
		}
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		Backoff(ctx)
	}
}

func (s *Parts) write(ctx context.Context, m Mutation, p *outboundv1.WatchSettingsResponse, revision uint64) (uint64, error) {
	var err error
	if m.Value, err = proto.Marshal(p); err != nil {
		return 0, fmt.Errorf("encode the settings %s: %w", m.Key, err)
	}
	m.Remove, m.Revision = false, revision
	revision, err = s.entries.Apply(ctx, m)
	stampEtags(p, Etag(revision))
	return revision, err
}

// samePart reports whether a change leaves a part as it was.
func samePart(a, b *outboundv1.WatchSettingsResponse) bool {
	return proto.Equal(comparablePart(a), comparablePart(b))
}

// comparablePart returns a part without what each change sets anew.
func comparablePart(p *outboundv1.WatchSettingsResponse) *outboundv1.WatchSettingsResponse {
	out, _ := proto.Clone(p).(*outboundv1.WatchSettingsResponse)
	if out.Smtp == nil {
		out.Smtp = &outboundv1.SmtpSettings{}
	}
	if out.Email == nil {
		out.Email = &outboundv1.EmailSettings{}
	}
	out.Smtp.UpdateTime, out.Email.UpdateTime = nil, nil
	return out
}
