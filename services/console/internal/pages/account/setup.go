package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// FirstStart creates the first administrator: while there are no users, the setup code of this process allows creating one. The code is
// not stored, and ends with its use, after an hour, or with the process.
type FirstStart struct {
	conn grpc.ClientConnInterface

	mu    sync.Mutex
	code  string
	until time.Time
}

// codeLasts is how long a setup code is valid.
const codeLasts = time.Hour

// NewFirstStart creates the setup of a process; conn sends the services' token. Await generates the code.
func NewFirstStart(conn grpc.ClientConnInterface) *FirstStart { return &FirstStart{conn: conn} }

// codeBytes is the length of a code: 192 bits.
const codeBytes = 24

// retryEvery is the retry interval while the config service is unavailable.
const retryEvery = 500 * time.Millisecond

// Await checks whether there are users, and retries until the config service responds. It returns the path of the one-time link if there
// are none, else nothing.
func (f *FirstStart) Await(ctx context.Context) (path string) {
	t := time.NewTicker(retryEvery)
	defer t.Stop()
	for {
		if empty, err := f.empty(ctx); err == nil {
			if !empty {
				return ""
			}
			return "/setup?code=" + f.newCode()
		}
		select {
		case <-ctx.Done():
			return ""
		case <-t.C:
		}
	}
}

func (f *FirstStart) empty(ctx context.Context) (bool, error) {
	answer, err := outboundv1.NewAccessServiceClient(f.conn).ListUsers(ctx, &outboundv1.ListUsersRequest{}, grpc.WaitForReady(false))
	return len(answer.GetUsers()) == 0, err
}

func (f *FirstStart) newCode() string {
	b := make([]byte, codeBytes)
	// crypto/rand never fails; it ends the program when the system has no randomness.
	_, _ = rand.Read(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code, f.until = base64.RawURLEncoding.EncodeToString(b), time.Now().Add(codeLasts)
	return f.code
}

// matches reports whether a code is valid.
func (f *FirstStart) matches(code string) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.valid(code)
}

// valid is matches with the lock held.
func (f *FirstStart) valid(code string) bool {
	return f.code != "" && time.Now().Before(f.until) && secret.Equal(code, f.code)
}

// take takes a code that is valid, so that no other request can use it; giveBack makes it valid again.
func (f *FirstStart) take(code string) (taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if taken = f.valid(code); taken {
		f.code = ""
	}
	return taken
}

func (f *FirstStart) giveBack(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code = code
}

func (f *FirstStart) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code = ""
}

// setupPage is the data of the setup page.
type setupPage struct {
	Form *web.Form
	Code string
}

var errLink = web.Fail(http.StatusForbidden, "This link is used or expired",
	"A setup link is valid for one user and for an hour. If there are no users yet, restart Outbound to get a new link: it shows the link "+
		"once, where it is started, or in the log of the console. Or sign in with the admin token.")

func (d signIn) showSetup(r *web.Request) error {
	code := r.URL.Query().Get("code")
	if err := d.maySetUp(r, code); err != nil {
		return err
	}
	return r.Render("setup", setupPage{Form: &web.Form{Values: url.Values{}}, Code: code})
}

// maySetUp returns an error unless the code is valid and there are no users.
func (d signIn) maySetUp(r *web.Request, code string) error {
	if !d.first.matches(code) {
		return errLink
	}
	empty, err := d.first.empty(r.Context())
	if err != nil {
		return err
	}
	if !empty {
		d.first.expire()
		return errLink
	}
	return nil
}

// setup creates the first user, an administrator, and signs them in.
func (d signIn) setup(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	code := form.Get("code")
	if err := d.maySetUp(r, code); err != nil {
		return err
	}
	made, err := d.createFirst(r, form, code)
	if err != nil {
		return err
	}
	if form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
		return r.Render("setup", setupPage{Form: form, Code: code})
	}
	d.site.ForgetUsers()
	r.Flash(web.Good, "Welcome. Your administrator account is ready.")
	return d.startSession(r, form.Get("next"), web.Identity{
		Kind: web.Local, Name: made.GetName(), DisplayName: made.GetDisplayName(), Role: rpc.RoleAdmin,
		PasswordTime: made.GetPasswordTime().AsTime(),
	})
}

// createFirst creates the user of the form if the code is still valid, and uses the code up. Without a user, the form or the error says
// why.
func (d signIn) createFirst(r *web.Request, form *web.Form, code string) (*outboundv1.User, error) {
	if form.Raw("password") != form.Raw("repeated") {
		form.Add("repeated", "does not match the password")
		return nil, nil
	}
	if !d.first.take(code) {
		return nil, errLink
	}
	// There is no user yet, so Outbound acts in its own name.
	access := outboundv1.NewAccessServiceClient(rpc.ActingFor(d.site.Service, rpc.Principal{Role: rpc.RoleAdmin, Name: "outbound"}))
	made, err := access.CreateUser(r.Context(), &outboundv1.CreateUserRequest{First: true, User: &outboundv1.User{
		Name: form.Get("name"), DisplayName: form.Get("displayName"), Role: outboundv1.Role_ADMIN, Password: form.Raw("password"),
	}})
	if err == nil {
		return made, nil
	}
	d.first.giveBack(code)
	if status.Code(err) == codes.FailedPrecondition {
		// Another console may have been faster.
		return nil, cmp.Or(d.maySetUp(r, code), err)
	}
	if form.Refused(err) {
		return nil, nil
	}
	return nil, err
}
