package access

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// The reasons for which a person of an OpenID provider is not let in as the user of that name.
const (
	linkedToAnother = "LINKED_TO_ANOTHER"
	hasPassword     = "HAS_PASSWORD" // #nosec G101 -- a reason, no secret
)

// SignInWithOpenID implements outboundv1.AccessServiceServer. A person is who the provider's issuer and subject say, which never change
// hands (OIDC Core 1.0, 2 and 5.7); a name or an email address may. So a name counts once: it links a user that has neither a link nor a
// password, which only a person of the provider can be meant by.
func (s *Access) SignInWithOpenID(
	ctx context.Context, q *outboundv1.SignInWithOpenIDRequest,
) (*outboundv1.SignInWithOpenIDResponse, error) {
	u, err := s.linkedUser(ctx, q.GetIssuer(), q.GetSubject())
	if err != nil || u != nil {
		return &outboundv1.SignInWithOpenIDResponse{User: u}, err
	}
	linked := false
	u, err = s.changeUser(ctx, q.GetName(), "", func(u *outboundv1.StoredUser) error {
		// Another replica of the console may have been faster, with this person or another.
		linked = false
		switch now := u.GetUser(); {
		case sameLink(now, q.GetIssuer(), q.GetSubject()):
			return nil
		case now.GetOpenidIssuer() != "" || now.GetOpenidSubject() != "":
			return rpc.FailedPrecondition(linkedToAnother, "The user "+q.GetName()+" is linked to another person of the OpenID provider. "+
				"If it is yours, because the provider or your account there has been replaced, an administrator can clear the link.")
		case u.GetPasswordHash() != "":
			return rpc.FailedPrecondition(hasPassword, "The user "+q.GetName()+" has a password. Sign in with it, "+
				"or ask an administrator to link the user to your account at the OpenID provider.")
		}
		u.User.OpenidIssuer, u.User.OpenidSubject, linked = q.GetIssuer(), q.GetSubject(), true
		return nil
	})
	if status.Code(err) == codes.NotFound {
		return &outboundv1.SignInWithOpenIDResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &outboundv1.SignInWithOpenIDResponse{User: u, Linked: linked}, nil
}

// linkedUser returns the user of a person; nil if there is none.
func (s *Access) linkedUser(ctx context.Context, issuer, subject string) (*outboundv1.User, error) {
	all, err := s.allUsers(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(u *outboundv1.User) bool { return sameLink(u, issuer, subject) }); i >= 0 {
		return all[i], nil
	}
	return nil, nil
}

func sameLink(u *outboundv1.User, issuer, subject string) bool {
	return issuer != "" && subject != "" && u.GetOpenidIssuer() == issuer && u.GetOpenidSubject() == subject
}

// checkLink adds what is wrong with a user's link to a person of an OpenID provider.
func (s *Access) checkLink(ctx context.Context, v *validation.Violations, u *outboundv1.User) error {
	switch issuer, subject := u.GetOpenidIssuer(), u.GetOpenidSubject(); {
	case issuer == "" && subject == "":
		return nil
	case issuer == "":
		v.Add("openidIssuer", validation.Missing, "is empty: set the issuer of the OpenID provider, or clear openidSubject too")
		return nil
	case subject == "":
		v.Add("openidSubject", validation.Missing, "is empty: set the subject (claim sub) of the person, or clear openidIssuer too")
		return nil
	}
	other, err := s.linkedUser(ctx, u.GetOpenidIssuer(), u.GetOpenidSubject())
	if err == nil && other != nil && other.GetName() != u.GetName() {
		v.Add("openidSubject", validation.Duplicate, "is the person of the user "+other.GetName()+": clear the link there first")
	}
	return err
}
