package access

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// The reasons for which a first administrator is not created.
const (
	usersExist = "USERS_EXIST"
	beingSetUp = "BEING_SET_UP"
)

// claimLasts is how long a claim keeps others from creating the first administrator. It is longer than a call.
const claimLasts = time.Minute

// claimFirst makes sure that of all calls that create the first user one goes on: there are no users, and this call is the last that wrote
// the claim, by compare-and-set, also if two processes believe to be the one that acts.
func (s *Access) claimFirst(ctx context.Context, q *outboundv1.CreateUserRequest) error {
	if !q.GetFirst() {
		return nil
	}
	_, err := s.parts.ChangeAs(ctx, store.KeyFirstAdmin, store.ChangeNote{Action: store.ActionClaimed},
		func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
			all, err := s.allUsers(ctx)
			if err != nil {
				return err
			}
			if len(all) > 0 {
				return rpc.FailedPrecondition(usersExist, "there are users already: sign in as one of them, or with the admin token")
			}
			if c := p.GetFirstAdmin(); c != nil && s.now().Sub(c.GetTime().AsTime()) < claimLasts {
				return rpc.FailedPrecondition(beingSetUp, "another call is creating the first administrator: try again in a minute")
			}
			p.FirstAdmin = &outboundv1.FirstAdmin{Name: q.GetUser().GetName(), Time: timestamppb.New(s.now())}
			return nil
		})
	return err
}
