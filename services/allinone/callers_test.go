package allinone_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// caller is somebody who calls.
type caller struct {
	name string
	// kind is what the golden table calls callers that may do something.
	kind string
	// md is the metadata of gRPC calls, header that of REST calls. Nil: this caller has no such calls.
	md     []string
	header http.Header
	// role is what the caller may do; 0: nothing that needs a role.
	role rpc.Role
	// words are part of the refusal of a call that is wrong in itself.
	words string
}

// The metadata by which the console says for whom it calls.
const (
	actingName = "outbound-acting-name-bin"
	actingRole = "outbound-acting-role"
)

// bearing is a caller with a token, over gRPC and REST.
func bearing(name, token string, role rpc.Role, kind string) caller {
	return caller{name: name, kind: kind, role: role, md: []string{"authorization", "Bearer " + token},
		header: http.Header{"Authorization": {"Bearer " + token}}}
}

// callers are all kinds of callers, each with credentials of its own in r.
func callers(r *running) []caller {
	service := strings.TrimSpace(r.file("service.token"))
	one := r.appliance(fmt.Sprint("one", time.Now().UnixNano()))
	gone := r.appliance(fmt.Sprint("gone", time.Now().UnixNano()))
	r.as(r.token, http.MethodDelete, "/v1/appliances/"+gone.ID, "")
	rotated := r.must("/v1/appliances/"+one.ID+":rotate", `{"id":"`+one.ID+`"}`)
	fresh := read[credentials](r.t, rotated)
	r.known(fresh.Token)
	for what, token := range map[string]string{"a deleted appliance": gone.Token, "a token that was rotated": one.Token} {
		waittest.Until(r.t, what+" to be refused", func() bool { return r.selfCode(token) == http.StatusUnauthorized })
	}
	all := []caller{
		{name: "nobody", kind: "anyone", md: []string{}, header: http.Header{}},
		bearing("a token of another installation", "obt_"+strings.Repeat("A", 43), 0, ""),
		bearing("the admin token less its last letter", r.token[:len(r.token)-1], 0, ""),
		{name: "the admin token as a password", md: []string{"authorization", "Basic " + r.token},
			header: http.Header{"Authorization": {"Basic " + r.token}}},
		{name: "two tokens", md: []string{"authorization", "Bearer " + r.token, "authorization", "Bearer " + r.token}},
		bearing("an ended token", r.apiToken("ADMIN", time.Now().Add(time.Second)), 0, ""),
		bearing("a revoked token", r.revokedToken("ADMIN"), 0, ""),
		bearing("a viewer's token", r.apiToken("VIEWER", time.Time{}), rpc.RoleViewer, "viewer"),
		bearing("an operator's token", r.apiToken("OPERATOR", time.Time{}), rpc.RoleOperator, "operator"),
		bearing("an administrator's token", r.apiToken("ADMIN", time.Time{}), rpc.RoleAdmin, "admin"),
		bearing("the admin token", r.token, rpc.RoleAdmin, "admin"),
		bearing("the services' token", service, rpc.RoleService, "service"),
		bearing("a receiver's token", r.receiverToken(), rpc.RoleReceiver, "receiver"),
		bearing("an appliance", fresh.Token, rpc.RoleAppliance, "appliance"),
		bearing("an appliance with the token before", one.Token, 0, ""),
		bearing("an appliance with its NATS password", fresh.Password, 0, ""),
		bearing("a deleted appliance", gone.Token, 0, ""),
	}
	return append(append(all, acting(r, service, fresh.Token)...), sessions(r)...)
}

// acting are calls in the name of others.
func acting(r *running, service, appliance string) []caller {
	as := func(name, token, person, role string, is rpc.Role, words string) caller {
		return caller{name: name, role: is, words: words, md: []string{"authorization", "Bearer " + token, actingName, person, actingRole, role}}
	}
	viewer := r.apiToken("VIEWER", time.Time{})
	forged := bearing("a viewer's token with headers of the console", viewer, rpc.RoleViewer, "")
	for _, name := range []string{actingRole, "Grpc-Metadata-" + actingRole} {
		forged.header.Set(name, "admin")
	}
	for _, name := range []string{actingName, "Grpc-Metadata-" + actingName} {
		forged.header.Set(name, "cm9vdA==")
	}
	forged.md = nil
	return []caller{
		as("a service for a viewer", service, "vera", "viewer", rpc.RoleViewer, ""),
		as("a service for an operator", service, "otto", "operator", rpc.RoleOperator, ""),
		as("a service for an administrator", service, "ada", "admin", rpc.RoleAdmin, ""),
		as("a service for somebody without a role", service, "nora", "", 0, "user role"),
		as("a service for another service", service, "sam", "service", 0, "user role"),
		as("a service for an appliance", service, "app", "appliance", 0, "user role"),
		as("a service for nobody", service, "", "admin", 0, "on behalf of a user"),
		as("a viewer for an administrator", viewer, "ada", "admin", 0, ""),
		as("the admin token for another", r.token, "ada", "viewer", 0, ""),
		as("an appliance for an administrator", appliance, "ada", "admin", 0, ""),
		forged,
	}
}

// sessions are the sessions of people. REST takes tokens alone: a session's cookie opens pages, never the API.
func sessions(r *running) (all []caller) {
	for _, name := range []string{"a session", "an ended session", "the session of a disabled user"} {
		user := fmt.Sprint("user", time.Now().UnixNano())
		r.user(user, "ADMIN")
		cookie := r.signIn(user)
		switch name {
		case "an ended session":
			r.page(http.MethodPost, "/sign-out", cookie, nil)
		case "the session of a disabled user":
			r.disable(user)
		}
		all = append(all, caller{name: name, header: http.Header{"Cookie": {cookie}}})
	}
	return all
}

// apiToken makes an API token. A token that ends has ended when it is returned.
func (r *running) apiToken(role string, end time.Time) string {
	r.t.Helper()
	more := ""
	if !end.IsZero() {
		more = fmt.Sprintf(`,"expireTime":%q`, end.UTC().Format(time.RFC3339Nano))
	}
	token := read[struct{ Secret string }](r.t, r.must("/v1/tokens", fmt.Sprintf(`{"displayName":"t","role":%q%s}`, role, more))).Secret
	if end.IsZero() {
		r.known(token)
	} else {
		waittest.Until(r.t, "the token to end", func() bool { return r.selfCode(token) == http.StatusUnauthorized })
	}
	return token
}

// receiverToken is a token of the recipient that the routes of the matrix name. That one is gone again: what its receiver may ask for is
// not found.
func (r *running) receiverToken() string {
	r.t.Helper()
	r.recipient("Pulled", "https://receiver.example/x", `,"id":"x"`)
	token := read[struct{ Secret string }](r.t, r.must("/v1/tokens", `{"displayName":"t","role":"RECEIVER","recipientId":"x"}`)).Secret
	r.known(token)
	r.as(r.token, http.MethodDelete, "/v1/recipients/x", "")
	return token
}

func (r *running) revokedToken(role string) string {
	r.t.Helper()
	made := read[struct {
		Secret string
		Token  struct{ ID string }
	}](r.t, r.must("/v1/tokens", fmt.Sprintf(`{"displayName":"t","role":%q}`, role)))
	r.known(made.Secret)
	r.as(r.token, http.MethodDelete, "/v1/tokens/"+made.Token.ID, "")
	waittest.Until(r.t, "the token to be revoked", func() bool { return r.selfCode(made.Secret) == http.StatusUnauthorized })
	return made.Secret
}

// selfCode is how GET /v1/self answers a token.
func (r *running) selfCode(token string) int {
	r.t.Helper()
	code, _, err := r.ask(http.MethodGet, "/v1/self", token, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return code
}

// userPassword is the password of all users of these tests.
const userPassword = "correct horse battery staple 7"

func (r *running) user(name, role string) {
	r.t.Helper()
	r.must("/v1/users", fmt.Sprintf(`{"name":%q,"role":%q,"password":%q}`, name, role, userPassword))
}

func (r *running) disable(name string) {
	r.t.Helper()
	r.as(r.token, http.MethodPatch, "/v1/users/"+name+"?updateMask=disabled", `{"disabled":true}`)
}

// signIn signs a user in and returns the cookie.
func (r *running) signIn(name string) string {
	r.t.Helper()
	code, header, _ := r.page(http.MethodPost, "/sign-in", "", url.Values{"name": {name}, "password": {userPassword}})
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	if code != http.StatusSeeOther || !strings.HasPrefix(cookie, "__Host-outbound=") {
		r.t.Fatalf("%s signs in: %d %v", name, code, header)
	}
	return cookie
}
