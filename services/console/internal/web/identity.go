package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// sessionCookie holds the session id. The __Host- prefix makes browsers require Secure, this host and path /.
const sessionCookie = "__Host-outbound"

// Identity is the signed-in user of a session.
type Identity struct {
	Kind        Kind     `json:"kind"`
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName,omitempty"`
	Role        rpc.Role `json:"role"`
	// Token is the token of a token sign-in. It authenticates calls to the services, so that a revoked token ends the session.
	Token string `json:"token,omitempty"`
	// PasswordTime is when the password was set. A change of the password ends the session.
	PasswordTime time.Time `json:"passwordTime,omitzero"`
	// RoleGiven reports that the role is from an OpenID provider and overrides the role of the user.
	RoleGiven bool `json:"roleGiven,omitempty"`
	// Issuer and Subject are the person at the OpenID provider. Linked reports that a user was linked to them at sign-in.
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	Linked  bool   `json:"linked,omitempty"`
}

// SignIn starts a session and sets its cookie. It ends a previous session of the browser, so that an id never changes its owner.
func (r *Request) SignIn(who Identity) error {
	r.SignOut()
	data, err := json.Marshal(who)
	if err != nil {
		return fmt.Errorf("encode the identity: %w", err)
	}
	id, err := r.site.Sessions.Start(r.Context(), data)
	if err != nil {
		return r.site.sessionsUnavailable(err)
	}
	http.SetCookie(r.W, HostCookie(sessionCookie, id, 0))
	return nil
}

// SignOut ends the session, if there is one.
func (r *Request) SignOut() {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return
	}
	if err := r.site.Sessions.End(context.WithoutCancel(r.Context()), c.Value); err != nil {
		r.site.Logger.Warn("session not deleted from the store; its cookie is deleted", telemetry.KeyError, err.Error())
	}
	http.SetCookie(r.W, HostCookie(sessionCookie, "", -time.Second))
	r.session, r.Me, r.API = "", Me{}, API{}
}

func (s *Site) sessionsUnavailable(err error) error {
	s.Logger.Warn("session store unavailable", telemetry.KeyError, err.Error())
	return Fail(http.StatusServiceUnavailable, "Sign-in is unavailable",
		"Sessions cannot be read. Deliveries continue. Try again in a moment.")
}

// identify sets Me and API to the signed-in user. signedIn is false without a valid session.
func (r *Request) identify() (signedIn bool, err error) {
	id := r.cookie(sessionCookie)
	if id == "" {
		return false, nil
	}
	who, err := r.site.find(r.Context(), id)
	switch {
	case errors.Is(err, session.ErrNone):
		return false, nil
	case errors.Is(err, errRevoked):
		r.SignOut()
		return false, nil
	case err != nil:
		return false, err
	}
	r.session = id
	r.Me = Me{Name: who.Name, DisplayName: who.DisplayName, Role: who.Role, Kind: who.Kind}
	if r.Me.DisplayName == "" {
		r.Me.DisplayName = r.Me.Name
	}
	r.API = r.site.apiOf(who)
	return true, nil
}

// Who returns the user of the session, also in pages that are open to all.
func (r *Request) Who() Me {
	if !r.Me.SignedIn() {
		// Without an answer nobody is known to be signed in.
		_, _ = r.identify()
	}
	return r.Me
}

// cookie returns the value of a cookie; empty if there is none.
func (r *Request) cookie(name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// find returns the current identity of a session. It returns session.ErrNone, errRevoked, or the error of the store.
func (s *Site) find(ctx context.Context, id string) (Identity, error) {
	var who Identity
	data, err := s.Sessions.Find(ctx, id)
	switch {
	case errors.Is(err, session.ErrNone):
		return who, session.ErrNone
	case err != nil:
		return who, s.sessionsUnavailable(err)
	}
	if err := json.Unmarshal(data, &who); err != nil {
		// A session of another release: the user signs in again.
		return who, session.ErrNone
	}
	return s.users.current(ctx, who)
}

// apiOf returns clients that act as an identity.
func (s *Site) apiOf(who Identity) API {
	if who.Kind == ByToken {
		return newAPI(rpc.Bearing(s.Bare, who.Token))
	}
	return newAPI(rpc.ActingFor(s.Service, rpc.Principal{Role: who.Role, Name: who.Name}))
}

var errRevoked = errors.New("the user of the session may not sign in any more")

// userCache caches the users of the config service.
type userCache struct {
	conn grpc.ClientConnInterface

	mu    sync.Mutex
	known map[string]*outboundv1.User
	asked time.Time
}

// The maximum age of the cached users: usually, and while the config service is unavailable.
const (
	usersFresh = 2 * time.Second
	usersStale = time.Minute
)

// forget invalidates the cache.
func (c *userCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = time.Time{}
}

// users returns all users by name.
func (c *userCache) users(ctx context.Context) (map[string]*outboundv1.User, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := time.Since(c.asked)
	if c.known != nil && age < usersFresh {
		return c.known, nil
	}
	answer, err := outboundv1.NewAccessServiceClient(c.conn).ListUsers(ctx, &outboundv1.ListUsersRequest{}, grpc.WaitForReady(false))
	if err != nil {
		if c.known != nil && age < usersStale {
			return c.known, nil
		}
		return nil, err
	}
	known := make(map[string]*outboundv1.User, len(answer.GetUsers()))
	for _, u := range answer.GetUsers() {
		known[u.GetName()] = u
	}
	c.known, c.asked = known, time.Now()
	return known, nil
}

// current updates an identity from the users. It returns errRevoked if the user may not continue.
func (c *userCache) current(ctx context.Context, who Identity) (Identity, error) {
	if who.Kind == ByToken {
		// The services check the token at each call.
		return who, nil
	}
	if c.conn == nil {
		return who, errRevoked
	}
	users, err := c.users(ctx)
	if err != nil {
		return who, err
	}
	u, known := users[who.Name]
	if who.Kind == ByOIDC {
		linked := linkedUser(users, who)
		// The user is gone or unlinked, or one of that name has been added: the next sign-in tells whose it is.
		if linked == nil && (known || who.Linked) {
			return who, errRevoked
		}
		u, known = linked, linked != nil
	}
	switch {
	case known && u.GetDisabled():
		return who, errRevoked
	case who.Kind == Local && (!known || !passwordTime(u).Equal(who.PasswordTime)):
		return who, errRevoked
	case !known:
		return who, nil
	}
	who.Name = u.GetName()
	if who.RoleGiven {
		return who, nil
	}
	who.Role = RoleOf(u.GetRole())
	if u.GetDisplayName() != "" {
		who.DisplayName = u.GetDisplayName()
	}
	return who, nil
}

// linkedUser returns the user who is linked to the person of an identity; nil if there is none.
func linkedUser(users map[string]*outboundv1.User, who Identity) *outboundv1.User {
	for _, u := range users {
		if who.Subject != "" && u.GetOpenidSubject() == who.Subject && u.GetOpenidIssuer() == who.Issuer {
			return u
		}
	}
	return nil
}

func passwordTime(u *outboundv1.User) time.Time {
	if u.GetPasswordTime() == nil {
		return time.Time{}
	}
	return u.GetPasswordTime().AsTime()
}

// RoleOf converts a role of the API; the least role if it is unset.
func RoleOf(kind outboundv1.Role_Kind) rpc.Role {
	switch kind {
	case outboundv1.Role_ADMIN:
		return rpc.RoleAdmin
	case outboundv1.Role_OPERATOR:
		return rpc.RoleOperator
	default:
		return rpc.RoleViewer
	}
}

// ForgetUsers invalidates the cached users after a change.
func (s *Site) ForgetUsers() { s.users.forget() }
