package configclient

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
)

// Tokens tells whose an API token is, as the config service last told.
type Tokens struct {
	client *Client
	now    func() time.Time
}

// NewTokens makes an authenticator of the API tokens that a client knows; it must watch settings. now is the clock by which tokens end: the
// broker's, as for all services.
func NewTokens(c *Client, now func() time.Time) Tokens { return Tokens{client: c, now: now} }

// Authenticate implements rpc.Authenticator. Its error is ErrNotTold while nobody can say whether a token is known.
func (t Tokens) Authenticate(_ context.Context, token string) (rpc.Principal, error) {
	if err := t.client.Told(); err != nil {
		return rpc.Principal{}, err
	}
	return PrincipalOf(t.client.Settings().Tokens, token, t.now())
}

// PrincipalOf finds who calls with a token, by the SHA-256 of the tokens' secrets. Its error is rpc.ErrUnknownToken for one that
// is not there or has ended.
func PrincipalOf(known map[[sha256.Size]byte]settings.Token, token string, now time.Time) (rpc.Principal, error) {
	t, ok := known[sha256.Sum256([]byte(token))]
	if !ok || !t.Expire.IsZero() && !now.Before(t.Expire) {
		return rpc.Principal{}, rpc.ErrUnknownToken
	}
	p := rpc.Principal{Name: "token " + t.ID}
	switch t.Role {
	case settings.Admin:
		p.Role = rpc.RoleAdmin
	case settings.Operator:
		p.Role = rpc.RoleOperator
	case settings.Viewer:
		p.Role = rpc.RoleViewer
	case settings.Receiver:
		p.Role, p.Recipient, p.RecipientStart = rpc.RoleReceiver, t.Recipient, t.RecipientStart
	default:
		return rpc.Principal{}, rpc.ErrUnknownToken
	}
	return p, nil
}
