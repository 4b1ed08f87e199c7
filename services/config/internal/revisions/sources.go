package revisions

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// source reads the changes of one bucket, newest first.
type source struct {
	bucket *store.KV
	// keys is the pattern of the keys to read.
	keys string
	// before is the revision before which to continue; 0: at the end.
	before uint64
	read   []bus.Change
	ended  bool
}

// sources returns the sources of a resource's revisions, or of all.
func (s *Revisions) sources(resource string) ([]*source, error) {
	if resource == "" {
		return []*source{{bucket: s.recipientsKV, keys: store.PrefixRecipient + ">"}, {bucket: s.settingsKV, keys: ">"}}, nil
	}
	p, err := s.locate(resource)
	return []*source{{bucket: p.bucket, keys: p.key}}, err
}

// peek reads the next change of a resource that the caller may see; false: there is none.
func (x *source) peek(ctx context.Context, ahead int) (bool, error) {
	for {
		for len(x.read) > 0 {
			if resource, ok := resourceOf(x.bucket, x.read[0].Key); ok && mayRead(ctx, resource) {
				return true, nil
			}
			x.take()
		}
		if x.ended {
			return false, nil
		}
		read, err := x.bucket.Changes(ctx, x.keys, x.before, ahead)
		if err != nil {
			return false, err
		}
		x.read, x.ended = read, len(read) < ahead
	}
}

func (x *source) take() bus.Change {
	c := x.read[0]
	x.read, x.before = x.read[1:], c.Revision
	// Revision 1 is the first.
	x.ended = x.ended || c.Revision == 1
	return c
}

// newest returns the source whose next change is the newest; nil: there is none.
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

// tokenOf encodes the position of each source.
func tokenOf(sources []*source) string {
	at := make([]uint64, len(sources))
	for i, x := range sources {
		at[i] = x.before
	}
	// Encoding numbers as JSON does not fail.
	raw, _ := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func resumeSources(sources []*source, token string) error {
	if token == "" {
		return nil
	}
	var at []uint64
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(raw, &at)
	}
	if err != nil || len(at) != len(sources) {
		return rpc.InvalidArgument(rpc.Violation{Field: "pageToken", Reason: validation.Invalid,
			Description: "is not valid for this list: leave it empty for the first page"})
	}
	for i, x := range sources {
		x.before = at[i]
		x.ended = at[i] == 1
	}
	return nil
}
