package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Recipient is a recipient as it is stored.
type Recipient struct {
	*outboundv1.StoredRecipient
	// KVRevision is the bucket's revision of it.
	KVRevision uint64
}

// ID returns the recipient's id.
func (r Recipient) ID() string { return r.GetRecipient().GetId() }

// Deleting reports whether the recipient is being deleted.
func (r Recipient) Deleting() bool { return r.GetRecipient().GetDeleteTime() != nil }

// Etag returns the recipient's etag.
func (r Recipient) Etag() string { return Etag(r.KVRevision) }

// Channel returns the recipient's channel.
func (r Recipient) Channel() recipient.Channel { return ChannelOf(r.GetRecipient()) }

// Describe returns the descriptor of the recipient's channel.
func (r Recipient) Describe() recipient.Descriptor { return Describe(r.GetRecipient()) }

// Holds reports whether the recipient is disabled and keeps its events meanwhile.
func (r Recipient) Holds() bool {
	return !r.GetRecipient().GetEnabled() && r.GetRecipient().GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD
}

// InMaintenance returns the maintenance window that holds the recipient's deliveries at a time.
func (r Recipient) InMaintenance(t time.Time) (maintenance.Block, bool) {
	windows, err := configclient.DecodeMaintenance(r.GetRecipient().GetMaintenanceWindows())
	if err != nil || !r.GetRecipient().GetEnabled() || r.GetRecipient().GetDeleteTime() != nil {
		return maintenance.Block{}, false
	}
	return maintenance.New(windows).At(t)
}

// Waits reports whether the recipient keeps its events at a time: it holds, or is in maintenance.
func (r Recipient) Waits(t time.Time) bool {
	_, open := r.InMaintenance(t)
	return open || r.Holds()
}

// ChannelOf returns the channel of a recipient: the one whose field, which has its name, is set. Without one it is HTTP.
func ChannelOf(r *outboundv1.Recipient) recipient.Channel {
	m := r.ProtoReflect()
	for _, d := range recipient.Channels() {
		if f := m.Descriptor().Fields().ByName(protoreflect.Name(d.Name)); f != nil && m.Has(f) {
			return d.Name
		}
	}
	return recipient.HTTP
}

// Describe returns the descriptor of the channel of a recipient.
func Describe(r *outboundv1.Recipient) recipient.Descriptor {
	d, _ := recipient.Describe(ChannelOf(r))
	return d
}

// DecodeRecipient decodes the value of a recipient's key.
func DecodeRecipient(e bus.Entry) (Recipient, error) {
	r := Recipient{StoredRecipient: &outboundv1.StoredRecipient{}, KVRevision: e.Revision}
	if err := proto.Unmarshal(e.Value, r.StoredRecipient); err != nil {
		return r, fmt.Errorf("read recipient %s: %w", strings.TrimPrefix(e.Key, PrefixRecipient), err)
	}
	return r, nil
}

// Recipients are the recipients in a store.
type Recipients struct{ entries Store }

// NewRecipients returns the recipients in a store.
func NewRecipients(entries Store) *Recipients { return &Recipients{entries: entries} }

// Get returns one recipient, or bus.ErrNotFound. Recipients that are being deleted are returned too.
func (s *Recipients) Get(ctx context.Context, id string) (Recipient, error) {
	e, err := s.entries.Get(ctx, PrefixRecipient+id)
	if err != nil {
		return Recipient{}, err
	}
	return DecodeRecipient(e)
}

// List returns all recipients by id, including those that are being deleted.
func (s *Recipients) List(ctx context.Context) ([]Recipient, error) {
	entries, err := s.entries.List(ctx, PrefixRecipient)
	if err != nil {
		return nil, err
	}
	out := make([]Recipient, 0, len(entries))
	for _, e := range entries {
		r, err := DecodeRecipient(e)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// IDs returns the ids that are taken.
func (s *Recipients) IDs(ctx context.Context) (map[string]bool, error) {
	entries, err := s.entries.List(ctx, PrefixRecipient)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(entries))
	for _, e := range entries {
		out[strings.TrimPrefix(e.Key, PrefixRecipient)] = true
	}
	return out, nil
}

// Put stores the next state of a recipient. r.KVRevision is the revision that it replaces, 0 for a new recipient.
func (s *Recipients) Put(ctx context.Context, r Recipient, note ChangeNote) (Recipient, error) {
	if r.Deleting() {
		note.Action = ActionDeleted
	}
	// What is derived from the rest is not stored.
	r.Recipient.Etag, r.Recipient.Warnings = "", nil
	if h := r.Recipient.GetHttp(); h != nil {
		h.CaCertificates = nil
	}
	b, err := proto.Marshal(r.StoredRecipient)
	if err != nil {
		return Recipient{}, fmt.Errorf("encode recipient %s: %w", r.ID(), err)
	}
	r.KVRevision, err = s.entries.Apply(ctx, Mutation{Key: PrefixRecipient + r.ID(), Value: b, Revision: r.KVRevision, Note: note})
	return r, err
}

// Remove removes a recipient, unless it has changed since it was read (bus.ErrConflict).
func (s *Recipients) Remove(ctx context.Context, r Recipient, note ChangeNote) error {
	_, err := s.entries.Apply(ctx, Mutation{Key: PrefixRecipient + r.ID(), Remove: true, Revision: r.KVRevision, Note: note})
	return err
}
