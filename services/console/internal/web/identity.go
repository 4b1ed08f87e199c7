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
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// sessionCookie holds the id of a session. Its prefix has browsers see to it that it is Secure, of this host and of all paths.
const sessionCookie = "__Host-outbound"

// Identity is what a session keeps of who signed in.
type Identity struct {
	Kind        Kind     `json:"kind"`
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName,omitempty"`
	Role        rpc.Role `json:"role"`
	// Token is what somebody signed in with who has no user: the services are called with it, so that it ends when it is revoked.
	Token string `json:"token,omitempty"`
	// PasswordTime is when the user's password was set; a session ends with the password it began with.
	PasswordTime time.Time `json:"passwordTime,omitzero"`
	// RoleGiven says that an OpenID provider gave the role, over whatever a user of that name has.
	RoleGiven bool `json:"roleGiven,omitempty"`
}

// SignIn begins a session and has the browser keep its id. A session that the browser had ends: an id never changes its owner.
func (r *Request) SignIn(who Identity) error {
	r.SignOut()
	data, err := json.Marshal(who)
	if err != nil {
		return fmt.Errorf("keep who signs in: %w", err)
	}
	id, err := r.site.Sessions.Start(r.Context(), data)
	if err != nil {
		return r.site.sessionsAway(err)
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
		r.site.Logger.Warn("a session was not ended where it is kept; its cookie is gone", "error", err.Error())
	}
	http.SetCookie(r.W, HostCookie(sessionCookie, "", -time.Second))
	r.session, r.Me, r.API = "", Me{}, API{}
}

func (s *Site) sessionsAway(err error) error {
	s.Logger.Warn("sessions cannot be used", "error", err.Error())
	return Fail(http.StatusServiceUnavailable, "Sign-in is unavailable", "Sessions cannot be read. Deliveries continue. Try again in a moment.")
}

// identify finds out who asks and fills in Me and API. signedIn is false for somebody unknown.
func (r *Request) identify() (signedIn bool, err error) {
	id := r.kept(sessionCookie)
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

// kept is what the browser keeps in a cookie; empty if there is none.
func (r *Request) kept(name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// find is who a session belongs to, as they stand now. Its error is session.ErrNone, errRevoked, or says why that cannot be told.
func (s *Site) find(ctx context.Context, id string) (Identity, error) {
	var who Identity
	data, err := s.Sessions.Find(ctx, id)
	switch {
	case errors.Is(err, session.ErrNone):
		return who, session.ErrNone
	case err != nil:
		return who, s.sessionsAway(err)
	}
	if err := json.Unmarshal(data, &who); err != nil {
		// A session of another release: its owner signs in again.
		return who, session.ErrNone
	}
	return s.people.current(ctx, who)
}

// apiOf calls the services as somebody.
func (s *Site) apiOf(who Identity) API {
	if who.Kind == ByToken {
		return newAPI(rpc.Bearing(s.Bare, who.Token))
	}
	return newAPI(rpc.ActingFor(s.Service, rpc.Principal{Role: who.Role, Name: who.Name}))
}

var errRevoked = errors.New("the session's owner may not sign in any more")

// people knows the users, as the config service last told.
type people struct {
	conn grpc.ClientConnInterface

	mu    sync.Mutex
	known map[string]*outboundv1.User
	asked time.Time
}

// How old what is known of users may be: usually, and while the config service is away.
const (
	peopleFresh = 2 * time.Second
	peopleStale = time.Minute
)

// forget has the next request ask again.
func (p *people) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Time{}
}

// users are all users by name.
func (p *people) users(ctx context.Context) (map[string]*outboundv1.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := time.Since(p.asked)
	if p.known != nil && age < peopleFresh {
		return p.known, nil
	}
	answer, err := outboundv1.NewAccessServiceClient(p.conn).ListUsers(ctx, &outboundv1.ListUsersRequest{}, grpc.WaitForReady(false))
	if err != nil {
		if p.known != nil && age < peopleStale {
			return p.known, nil
		}
		return nil, err
	}
	known := make(map[string]*outboundv1.User, len(answer.GetUsers()))
	for _, u := range answer.GetUsers() {
		known[u.GetName()] = u
	}
	p.known, p.asked = known, time.Now()
	return known, nil
}

// current brings up to date what a session knows of its owner. Its error is errRevoked if they may not go on.
func (p *people) current(ctx context.Context, who Identity) (Identity, error) {
	if who.Kind == ByToken {
		// The services check the token at each call.
		return who, nil
	}
	if p.conn == nil {
		return who, errRevoked
	}
	users, err := p.users(ctx)
	if err != nil {
		return who, err
	}
	u, known := users[who.Name]
	switch {
	case known && u.GetDisabled():
		return who, errRevoked
	case who.Kind == Local && (!known || !passwordTime(u).Equal(who.PasswordTime)):
		return who, errRevoked
	case !known || who.RoleGiven:
		return who, nil
	}
	who.Role = RoleOf(u.GetRole())
	if u.GetDisplayName() != "" {
		who.DisplayName = u.GetDisplayName()
	}
	return who, nil
}

func passwordTime(u *outboundv1.User) time.Time {
	if u.GetPasswordTime() == nil {
		return time.Time{}
	}
	return u.GetPasswordTime().AsTime()
}

// RoleOf is a role of the API as a role of ours; the least one if none is said.
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

// ForgetPeople has the next request ask anew who the users are, after a change of them.
func (s *Site) ForgetPeople() { s.people.forget() }
