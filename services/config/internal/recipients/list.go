package recipients

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/naming"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

const (
	defaultPageSize = 100
	// maxPageBytes keeps a page of large recipients within gRPC's usual limit of 4 MiB.
	maxPageBytes = 3 << 20
	// maxIDLength is the longest id the contract allows.
	maxIDLength = 40
)

// position returns a recipient's position in the list: by name, then by id.
func position(r store.Recipient) string {
	return naming.Fold(r.GetRecipient().GetDisplayName()) + "\x00" + r.ID()
}

// ListRecipients implements outboundv1.RecipientServiceServer. A page token is the position of the last recipient, so that pages neither
// repeat nor miss recipients while others are created and deleted.
func (s *Recipients) ListRecipients(ctx context.Context, q *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	after, err := base64.RawURLEncoding.DecodeString(q.GetPageToken())
	if err != nil {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "pageToken", Reason: validation.Invalid,
			Description: "is not valid: leave it empty for the first page"})
	}
	all, err := s.stored.List(ctx)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	all = slices.DeleteFunc(all, store.Recipient.Deleting)
	slices.SortFunc(all, func(a, b store.Recipient) int { return strings.Compare(position(a), position(b)) })
	size, bytes, now := int(q.GetPageSize()), 0, s.now()
	if size == 0 {
		size = defaultPageSize
	}
	out := &outboundv1.ListRecipientsResponse{TotalSize: int32(len(all))} // #nosec G115 -- far below 2^31
	for i, r := range all {
		if len(after) > 0 && position(r) <= string(after) {
			continue
		}
		if len(out.Recipients) == size || bytes > maxPageBytes {
			out.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(position(all[i-1])))
			break
		}
		p := visible(r, now)
		bytes += proto.Size(p)
		out.Recipients = append(out.Recipients, p)
	}
	return out, nil
}

// freeID returns an id, made of a display name, that no recipient has.
func (s *Recipients) freeID(ctx context.Context, name string) (string, error) {
	has, err := s.stored.IDs(ctx)
	if err != nil {
		return "", err
	}
	stem := naming.Slug(name, '-')
	if stem == "" {
		stem = kindRecipient
	}
	id := naming.Truncate(stem, maxIDLength)
	for n := 2; has[id]; n++ {
		suffix := "-" + strconv.Itoa(n)
		id = naming.Truncate(stem, maxIDLength-len(suffix)) + suffix
	}
	return id, nil
}
