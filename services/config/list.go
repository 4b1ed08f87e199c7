package config

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	defaultPageSize = 100
	// maxPageBytes keeps a page of large recipients within gRPC's usual limit of 4 MiB.
	maxPageBytes = 3 << 20
	// maxIDLength is the longest id the contract allows.
	maxIDLength = 40
)

// position is a recipient's place in the list: by name, then by id.
func position(r storedRecipient) string {
	return foldName(r.GetRecipient().GetDisplayName()) + "\x00" + r.id()
}

// ListRecipients implements outboundv1.RecipientServiceServer. A page token is the place of the last recipient, so pages
// neither repeat nor miss those that stay while others come and go.
func (s recipientServer) ListRecipients(ctx context.Context, q *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	after, err := base64.RawURLEncoding.DecodeString(q.GetPageToken())
	if err != nil {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "pageToken", Reason: reasonInvalid, Description: "is not valid: leave it empty for the first page"})
	}
	all, err := s.allRecipients(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	all = slices.DeleteFunc(all, storedRecipient.deleting)
	slices.SortFunc(all, func(a, b storedRecipient) int { return strings.Compare(position(a), position(b)) })
	size, bytes, now := int(q.GetPageSize()), 0, time.Now()
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

// freeID makes an id of a display name that no recipient has now.
func (s *Service) freeID(ctx context.Context, name string) (string, error) {
	entries, err := s.recipients.all(ctx, prefixRecipient)
	if err != nil {
		return "", err
	}
	has := make(map[string]bool, len(entries))
	for _, e := range entries {
		has[strings.TrimPrefix(e.Key, prefixRecipient)] = true
	}
	stem := slug(name, '-')
	if stem == "" {
		stem = kindRecipient
	}
	id := trimID(stem, maxIDLength)
	for n := 2; has[id]; n++ {
		suffix := "-" + strconv.Itoa(n)
		id = trimID(stem, maxIDLength-len(suffix)) + suffix
	}
	return id, nil
}

func trimID(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.TrimRight(s, "-_")
}

// slug keeps the lower-case ASCII letters and digits of a name and puts a mark between what was apart.
func slug(name string, mark byte) string {
	var b strings.Builder
	for _, r := range foldName(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), string(mark)) {
			b.WriteByte(mark)
		}
	}
	return strings.TrimRight(b.String(), string(mark))
}
