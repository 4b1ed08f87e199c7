package allinone_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// page makes one request of a browser, with a session's cookie, and does not follow redirects.
func (r *running) page(method, path, cookie string, form url.Values) (int, http.Header, string) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(context.Background(), method, "http://"+r.at.HTTP+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		q.Header.Set("Cookie", cookie)
	}
	c := *r.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := c.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(body)
}

// TestObjectsOfOthersStayClosed has callers whose role is right reach for what belongs to another.
func TestObjectsOfOthersStayClosed(t *testing.T) {
	r := start(t, options(t))
	url, got := receiver(t)
	id := r.recipient("Tickets", url, "")
	one, two := r.appliance("a-1"), r.appliance("a-2")
	first := r.publish(one.Token, "e-1")
	second := read[published](t, r.as(two.Token, "POST", "/v1/events", strings.Replace(event("e-1"), `"source":"a-1"`, `"source":"a-2"`, 1)))
	if first.EventID == second.EventID || first.Duplicate || second.Duplicate {
		t.Errorf("two appliances' events with one id are %+v and %+v", first, second)
	}
	waittest.Receive(t, "a delivery", got)
	waittest.Receive(t, "a delivery", got)
	viewer, operator := r.apiToken("VIEWER", time.Time{}), r.apiToken("OPERATOR", time.Time{})
	n := 0
	for _, x := range []struct {
		what, method, path, token, body string
		code                            int
	}{
		{"an appliance publishes as another", "POST", "/v1/events?appliance_id=a-2", one.Token, event("e-2"), 403},
		{"an appliance publishes with another's source", "POST", "/v1/events", two.Token, event("e-3"), 403},
		{"an appliance reads its own event", "GET", "/v1/events/" + first.EventID, one.Token, "", 403},
		{"an appliance reads another's event", "GET", "/v1/events/" + second.EventID, one.Token, "", 403},
		{"an appliance lists events", "GET", "/v1/events", one.Token, "", 403},
		{"an appliance reads another's delivery", "GET", "/v1/deliveries/" + id + "/" + second.EventID, one.Token, "", 403},
		{"an appliance lists deliveries", "GET", "/v1/deliveries", one.Token, "", 403},
		{"an appliance reads itself", "GET", "/v1/appliances/a-1", one.Token, "", 403},
		{"an appliance rotates another", "POST", "/v1/appliances/a-2:rotate", one.Token, "{}", 403},
		{"an appliance reads a recipient", "GET", "/v1/recipients/" + id, one.Token, "", 403},
		{"an operator rotates an appliance", "POST", "/v1/appliances/a-1:rotate", operator, "{}", 403},
		{"an operator becomes an administrator", "PATCH", "/v1/users/x?updateMask=role", operator, `{"role":"ADMIN"}`, 403},
		{"an operator makes a token", "POST", "/v1/tokens", operator, `{"displayName":"t","role":"ADMIN"}`, 403},
		{"an operator reads tokens", "GET", "/v1/tokens", operator, "", 403},
		{"an operator reads users", "GET", "/v1/users", operator, "", 403},
		{"an operator downloads a backup", "GET", "/v1/backup", operator, "", 403},
		{"an operator rolls a setting back", "POST", "/v1/revisions:rollBack", operator, `{"resource":"settings/smtp","revision":"1"}`, 403},
		{"a viewer changes a recipient", "PATCH", "/v1/recipients/" + id, viewer, `{"enabled":false}`, 403},
		{"a viewer retries another's delivery", "POST", "/v1/deliveries:retry", viewer, "{}", 403},
		{"a viewer tests a recipient", "POST", "/v1/recipients/" + id + ":test", viewer, "{}", 403},
		{"an API token changes a password", "POST", "/v1/self:changePassword", viewer,
			`{"currentPassword":"` + userPassword + `","newPassword":"another of twelve"}`, 400},
	} {
		code, body, err := r.ask(x.method, x.path, x.token, x.body)
		if n++; err != nil || code != x.code {
			t.Errorf("%s: %d %s, %v, want %d", x.what, code, body, err, x.code)
		}
		for _, foreign := range []string{`"occurTime"`, `"deliveries"`, `"url"`, second.EventID + `"`} {
			if strings.Contains(body, foreign) {
				t.Errorf("%s: the refusal shows %s", x.what, body)
			}
		}
	}
	if code, body, err := r.ask("GET", "/v1/events/"+second.EventID, viewer, ""); err != nil || code != 200 {
		t.Errorf("a viewer reads an event: %d %s, %v", code, body, err)
	}
	events := r.as(viewer, "GET", "/v1/events?pageSize=100", "")
	if strings.Contains(events, "a-2~e-2") || strings.Contains(events, "a-1~e-3") {
		t.Errorf("what an appliance published as another is in the log as the other's: %s", events)
	}
	t.Logf("%d calls for what belongs to others, none allowed unless an error says so", n)
}

// TestPeopleWhoMayNotSignInHaveNothingLeft takes away from people what they had while their sessions are open.
func TestPeopleWhoMayNotSignInHaveNothingLeft(t *testing.T) {
	r := start(t, options(t))
	for _, name := range []string{"ada", "bob", "eve", "fay"} {
		r.user(name, "ADMIN")
	}
	ada, bob, bobElsewhere, eve, fay := r.signIn("ada"), r.signIn("bob"), r.signIn("bob"), r.signIn("eve"), r.signIn("fay")
	opens := func(cookie string) bool {
		code, _, _ := r.page(http.MethodGet, "/settings/tokens", cookie, nil)
		return code == http.StatusOK
	}
	for who, cookie := range map[string]string{"ada": ada, "bob": bob, "eve": eve, "fay": fay} {
		if !opens(cookie) {
			code, header, body := r.page(http.MethodGet, "/settings/tokens", cookie, nil)
			t.Fatalf("the session of %s opens nothing: %d %v %s", who, code, header, body)
		}
	}
	r.page(http.MethodPost, "/account/password", bob,
		url.Values{"currentPassword": {userPassword}, "newPassword": {"moss gravel teapot 41"}, "repeated": {"moss gravel teapot 41"}})
	r.disable("eve")
	r.as(r.token, http.MethodPatch, "/v1/users/fay?updateMask=role", `{"role":"VIEWER"}`)
	for what, cookie := range map[string]string{"another session of who changed the password": bobElsewhere,
		"the session of a disabled user": eve, "the session of who is no administrator any more": fay, "a made-up session": madeUp()} {
		waittest.Until(t, what+" to open no page of administrators", func() bool { return !opens(cookie) })
	}
	if !opens(ada) {
		t.Error("the session of another user ended with theirs")
	}
	code, header, body := r.page(http.MethodPost, "/sign-in", "", url.Values{"name": {"eve"}, "password": {userPassword}})
	if code != http.StatusUnauthorized || header.Get("Set-Cookie") != "" || strings.Contains(body, "disabled") {
		t.Errorf("a disabled user signs in: %d %v", code, header)
	}
	if code, _, _ := r.page(http.MethodPost, "/sign-out", eve, nil); code >= http.StatusInternalServerError {
		t.Errorf("an ended session signs out: %d", code)
	}
	if !opens(ada) {
		t.Error("a user's session ended with another's")
	}
	r.strangersHaveNoUser()
}

// strangersHaveNoUser asks, as the console does, for people of an OpenID provider that are no users.
func (r *running) strangersHaveNoUser() {
	r.t.Helper()
	conn, err := rpc.Dial(r.at.GRPC, strings.TrimSpace(r.file("service.token")))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	access := outboundv1.NewAccessServiceClient(conn)
	ctx, cancel := waittest.Context(context.Background())
	defer cancel()
	for _, name := range []string{"", "nobody", "admin", "outbound"} {
		a, err := access.SignInWithOpenID(ctx, &outboundv1.SignInWithOpenIDRequest{Issuer: "https://id.example", Subject: "s-1", Name: name})
		if err != nil || a.GetUser() != nil || a.GetLinked() {
			r.t.Errorf("a stranger named %q signs in as %v, %v", name, a, err)
		}
	}
	// A name that a password protects is nobody's at the provider, whoever says so.
	for _, name := range []string{"ada", "eve"} {
		a, err := access.SignInWithOpenID(ctx, &outboundv1.SignInWithOpenIDRequest{Issuer: "https://id.example", Subject: "s-2", Name: name})
		if err == nil || a.GetUser() != nil {
			r.t.Errorf("a person of a provider signs in as %s, who has a password: %v", name, a)
		}
	}
	none := metadata.AppendToOutgoingContext(ctx, actingName, "ada")
	if _, err := access.ListUsers(none, &outboundv1.ListUsersRequest{}); err == nil {
		r.t.Error("a call for a person without a role is answered")
	}
}

func madeUp() string { return "__Host-outbound=" + strings.Repeat("A", 43) }

// TestAnApplianceThatIsGoneReachesNothing deletes an appliance; what it published stays.
func TestAnApplianceThatIsGoneReachesNothing(t *testing.T) {
	r := start(t, options(t))
	a := r.appliance("a-1")
	kept := r.publish(a.Token, "e-1")
	r.as(r.token, http.MethodDelete, "/v1/appliances/a-1", "")
	waittest.NoError(t, "its token to be refused", func() error {
		if code, body, err := r.ask(http.MethodPost, "/v1/events", a.Token, event("e-2")); err != nil || code != http.StatusUnauthorized {
			return fmt.Errorf("%d %s, %w", code, body, err)
		}
		return nil
	})
	if body := r.as(r.token, http.MethodGet, "/v1/events/"+kept.EventID, ""); !strings.Contains(body, kept.EventID) {
		t.Errorf("its event is %s", body)
	}
}
