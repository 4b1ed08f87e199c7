package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/secret"
)

// Role is what a caller may do. See Rules.
type Role int

// The roles.
const (
	// RoleAdmin is a person, or what acts for one.
	RoleAdmin Role = iota + 1
	// RoleService is another service of this installation.
	RoleService
	// RoleAppliance publishes events of its own.
	RoleAppliance
	// RoleViewer is a person, or a program, that sees everything but secrets and changes nothing.
	RoleViewer
	// RoleOperator also manages recipients and deliveries.
	RoleOperator
	// RoleReceiver pulls the deliveries of one recipient.
	RoleReceiver
)

// String is the role as a word, for logs.
func (r Role) String() string {
	switch r {
	case RoleAdmin:
		return "admin"
	case RoleService:
		return "service"
	case RoleAppliance:
		return "appliance"
	case RoleViewer:
		return "viewer"
	case RoleOperator:
		return "operator"
	case RoleReceiver:
		return "receiver"
	default:
		return fmt.Sprintf("role(%d)", int(r))
	}
}

// Principal is who calls.
type Principal struct {
	Role Role
	// Name is who it is, as revisions and replays name the actor: a user's name, `token <id>`, or `admin` for the admin token.
	Name string
	// Service is which one, for RoleService: see pki.ServiceNames.
	Service string
	// Appliance is its id, for RoleAppliance.
	Appliance string
	// Recipient is its id, for RoleReceiver, and RecipientStart where its events begin: another one with the same id begins elsewhere.
	Recipient      string
	RecipientStart uint64
}

// Actor is the name that is kept with what the caller of ctx changes; `outbound` outside a call of a person.
func Actor(ctx context.Context) string {
	if p, ok := PrincipalFrom(ctx); ok && p.Name != "" {
		return p.Name
	}
	return "outbound"
}

type principalKey struct{}

// PrincipalFrom returns the caller of the call that ctx belongs to. ok is false outside a call, or in one that needs no token.
func PrincipalFrom(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// WithPrincipal says who calls, for doors other than gRPC that share its handlers.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// ErrUnknownToken reports that a token belongs to nobody.
var ErrUnknownToken = errors.New("the token is not valid")

// Authenticator identifies the holder of a token. Its error is ErrUnknownToken, or why the token can't be verified now.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (Principal, error)
}

// Authenticators asks one after another until one knows the token.
type Authenticators []Authenticator

// Authenticate implements Authenticator.
func (all Authenticators) Authenticate(ctx context.Context, token string) (Principal, error) {
	for _, a := range all {
		p, err := a.Authenticate(ctx, token)
		if !errors.Is(err, ErrUnknownToken) {
			return p, err
		}
	}
	return Principal{}, ErrUnknownToken
}

// Tokens are the tokens of an installation. An empty one matches nothing.
type Tokens struct {
	Admin string
	// Service is shared by all services. Without Console and Narrow its holder is any of them, the console too.
	Service string
	// Console is the console's own.
	Console string
	// Narrow says that the console proves by a certificate who it is.
	Narrow bool
}

// Authenticate implements Authenticator.
func (t Tokens) Authenticate(_ context.Context, token string) (Principal, error) {
	switch {
	case t.Admin != "" && secret.Equal(token, t.Admin):
		return Principal{Role: RoleAdmin, Name: "admin"}, nil
	case t.Service != "" && secret.Equal(token, t.Service):
		if t.Console == "" && !t.Narrow {
			return Principal{Role: RoleService, Service: pki.ServiceAny}, nil
		}
		return Principal{Role: RoleService, Service: pki.ServiceShared}, nil
	case t.Console != "" && secret.Equal(token, t.Console):
		return Principal{Role: RoleService, Service: pki.ServiceConsole}, nil
	default:
		return Principal{}, ErrUnknownToken
	}
}

// TokenFiles is an Authenticator that reads its tokens from files and reads them again when they change, so that a token is
// rotated without a restart.
type TokenFiles struct {
	admin, service, console string

	mu      sync.Mutex
	tokens  Tokens
	stamps  [3]time.Time
	checked time.Time
}

// FileTokens makes an Authenticator of the admin's and the services' token file. Either may be empty: then there is no such
// token. Call Check at start to learn of unreadable files.
func FileTokens(adminFile, serviceFile string) *TokenFiles {
	return &TokenFiles{admin: adminFile, service: serviceFile}
}

// WithConsole also knows the console's token, if file is not empty. narrow is Tokens.Narrow. It is called before the first call.
func (t *TokenFiles) WithConsole(file string, narrow bool) *TokenFiles {
	t.console, t.tokens.Narrow = file, narrow
	return t
}

// recheck is how often the files are looked at.
const recheck = time.Second

// Check reads the files. Its error says which one cannot be used.
func (t *TokenFiles) Check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refresh(time.Now(), true)
}

// Authenticate implements Authenticator. With an unreadable file it goes on with the tokens it knows.
func (t *TokenFiles) Authenticate(ctx context.Context, token string) (Principal, error) {
	t.mu.Lock()
	err := t.refresh(time.Now(), false)
	tokens := t.tokens
	t.mu.Unlock()
	p, unknown := tokens.Authenticate(ctx, token)
	if unknown != nil && err != nil {
		return Principal{}, err
	}
	return p, unknown
}

func (t *TokenFiles) refresh(now time.Time, force bool) error {
	if !force && now.Sub(t.checked) < recheck {
		return nil
	}
	t.checked = now
	return errors.Join(reread(t.admin, &t.stamps[0], &t.tokens.Admin), reread(t.service, &t.stamps[1], &t.tokens.Service),
		reread(t.console, &t.stamps[2], &t.tokens.Console))
}

// reread brings token up to date with the file if that changed since stamp.
func reread(file string, stamp *time.Time, token *string) error {
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("read a token: %w", err)
	}
	if info.ModTime().Equal(*stamp) {
		return nil
	}
	fresh, err := secret.LoadToken(file)
	if err != nil {
		return err
	}
	*token, *stamp = fresh, info.ModTime()
	return nil
}
