// Package revisions lists the changes of recipients and settings, and rolls back.
package revisions

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Revisions are the changes of recipients and settings that the buckets keep.
type Revisions struct {
	recipientsKV, settingsKV *store.KV

	recipients *recipients.Recipients
	settings   *settings.Settings
}

// Deps are the buckets, and what restores the resources in them.
type Deps struct {
	RecipientsKV, SettingsKV *store.KV

	Recipients *recipients.Recipients
	Settings   *settings.Settings
}

// New returns the revisions in the buckets.
func New(d Deps) *Revisions {
	return &Revisions{recipientsKV: d.RecipientsKV, settingsKV: d.SettingsKV, recipients: d.Recipients, settings: d.Settings}
}

// maxPageBytes keeps a page within gRPC's usual limit of 4 MiB.
const maxPageBytes = 3 << 20

// defaultRevisions is the default size of a page.
const defaultRevisions = 50

// ListRevisions implements outboundv1.SettingsServiceServer. It lists the values that the buckets keep.
func (s *Revisions) ListRevisions(ctx context.Context, q *outboundv1.ListRevisionsRequest) (*outboundv1.ListRevisionsResponse, error) {
	sources, err := s.sources(q.GetResource())
	if err != nil {
		return nil, err
	}
	if err := resumeSources(sources, q.GetPageToken()); err != nil {
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
			return nil, store.AsStatus(ctx, err)
		}
		if from == nil {
			return out, nil
		}
		if len(out.Revisions) == size || bytes > maxPageBytes {
			out.NextPageToken = tokenOf(sources)
			return out, nil
		}
		r, err := describe(ctx, from.bucket, from.take())
		if err != nil {
			return nil, store.AsStatus(ctx, err)
		}
		bytes += proto.Size(r)
		out.Revisions = append(out.Revisions, r)
	}
}

// describe returns a change with what differs from the one before.
func describe(ctx context.Context, b *store.KV, c bus.Change) (*outboundv1.Revision, error) {
	before, err := b.ChangeBefore(ctx, c.Key, c.Revision)
	if err != nil {
		return nil, err
	}
	is, err := revisionViewOf(b, c)
	if err != nil {
		return nil, err
	}
	was, err := revisionViewOf(b, before)
	if err != nil {
		return nil, err
	}
	resource, _ := resourceOf(b, c.Key)
	out := &outboundv1.Revision{
		Resource: resource, Revision: c.Revision, Actor: c.Actor, Action: c.Action, RolledBackTo: c.RolledBackTo, Time: timestamppb.New(c.Time),
	}
	if out.GetAction() == "" {
		// Earlier releases did not store the action.
		out.Action = actionFrom(was, is)
	}
	if !is.gone {
		out.ResourceJson = is.text
	}
	// The removal of a deleted recipient changes nothing: its deletion is a revision of its own.
	if !is.none || !was.gone {
		out.Changes = difference(was, is)
	}
	return out, nil
}

func actionFrom(was, is revisionView) string {
	switch {
	case is.none && was.gone && !was.none:
		return store.ActionRemoved
	case is.gone:
		return store.ActionDeleted
	case was.gone:
		return store.ActionCreated
	default:
		return store.ActionChanged
	}
}
