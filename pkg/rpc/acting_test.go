package rpc_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// valid is a recipient that breaks no rule.
func valid() *v1.Recipient {
	return &v1.Recipient{DisplayName: "R", EventTypes: []string{"a"},
		Channel: &v1.Recipient_Http{Http: &v1.HttpRecipient{Url: "https://r.example"}}}
}

// whoami answers with who calls.
func whoami() *recipients {
	return &recipients{
		get: func(ctx context.Context, _ *v1.GetRecipientRequest) (*v1.Recipient, error) {
			p, _ := rpc.PrincipalFrom(ctx)
			return &v1.Recipient{Id: p.Role.String(), DisplayName: rpc.Actor(ctx)}, nil
		},
		create: func(ctx context.Context, _ *v1.CreateRecipientRequest) (*v1.Recipient, error) {
			return &v1.Recipient{DisplayName: rpc.Actor(ctx)}, nil
		},
	}
}

func TestAServiceActsForAPersonWithThePersonsRole(t *testing.T) {
	conn := serve(t, rpc.ServerOptions{Authenticator: rpc.Tokens{Admin: "a", Service: "s"}}, whoami().register, "s")
	for _, x := range []struct {
		p         rpc.Principal
		get, make codes.Code
	}{
		{rpc.Principal{Role: rpc.RoleViewer, Name: "vera"}, codes.OK, codes.PermissionDenied},
		{rpc.Principal{Role: rpc.RoleOperator, Name: "olga"}, codes.OK, codes.OK},
		{rpc.Principal{Role: rpc.RoleAdmin, Name: "Ádám Ö"}, codes.OK, codes.OK},
		{rpc.Principal{Role: rpc.RoleService, Name: "service"}, codes.InvalidArgument, codes.InvalidArgument},
		{rpc.Principal{Role: rpc.RoleAppliance, Name: "a1"}, codes.InvalidArgument, codes.InvalidArgument},
		{rpc.Principal{Role: rpc.RoleAdmin}, codes.InvalidArgument, codes.InvalidArgument},
		{rpc.Principal{Role: rpc.RoleAdmin, Name: "two\nlines"}, codes.InvalidArgument, codes.InvalidArgument},
		{rpc.Principal{Role: rpc.RoleAdmin, Name: strings.Repeat("x", 257)}, codes.InvalidArgument, codes.InvalidArgument},
		{rpc.Principal{Role: rpc.RoleAdmin, Name: "\xff"}, codes.InvalidArgument, codes.InvalidArgument},
	} {
		client := v1.NewRecipientServiceClient(rpc.ActingFor(conn, x.p))
		got, err := client.GetRecipient(t.Context(), &v1.GetRecipientRequest{Id: "r"})
		if status.Code(err) != x.get || err == nil && (got.GetId() != x.p.Role.String() || got.GetDisplayName() != x.p.Name) {
			t.Errorf("as %v: %v, %v", x.p, got, err)
		}
		made, err := client.CreateRecipient(t.Context(), &v1.CreateRecipientRequest{Recipient: valid()})
		if status.Code(err) != x.make || err == nil && made.GetDisplayName() != x.p.Name {
			t.Errorf("as %v: %v, %v", x.p, made, err)
		}
		if x.make == codes.PermissionDenied &&
			status.Convert(err).Message() != "the role viewer can't call RecipientService/CreateRecipient: it requires the role operator" {
			t.Errorf("as %v: %v", x.p, err)
		}
	}
	// Without a person it stays a service, which may read and not change.
	client := v1.NewRecipientServiceClient(conn)
	if got, err := client.GetRecipient(t.Context(), &v1.GetRecipientRequest{Id: "r"}); err != nil || got.GetId() != "service" {
		t.Errorf("for nobody: %v, %v", got, err)
	}
	if _, err := client.CreateRecipient(t.Context(),
		&v1.CreateRecipientRequest{Recipient: valid()}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("for nobody: %v", err)
	}
}

// people have tokens of the lesser roles.
type people struct{}

func (people) Authenticate(_ context.Context, token string) (rpc.Principal, error) {
	switch token {
	case "obt_viewer":
		return rpc.Principal{Role: rpc.RoleViewer, Name: "token v"}, nil
	case "obt_operator":
		return rpc.Principal{Role: rpc.RoleOperator, Name: "token o"}, nil
	default:
		return rpc.Principal{}, rpc.ErrUnknownToken
	}
}

func TestNobodyElseActsForAPerson(t *testing.T) {
	conn := serve(t, rpc.ServerOptions{Authenticator: rpc.Authenticators{known{}, people{}}}, whoami().register, "")
	for _, token := range []string{adminToken, applianceToken, "obt_viewer", "obt_operator"} {
		as := rpc.ActingFor(rpc.Bearing(conn, token), rpc.Principal{Role: rpc.RoleAdmin, Name: "ada"})
		if _, err := v1.NewRecipientServiceClient(as).GetRecipient(t.Context(),
			&v1.GetRecipientRequest{Id: "r"}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s acted for ada: %v", token, err)
		}
	}
	// Half of it, or more than one of it, is nobody.
	for _, pairs := range [][]string{
		{"outbound-acting-role", "admin"},
		{"outbound-acting-name-bin", "ada"},
		{"outbound-acting-name-bin", "ada", "outbound-acting-role", "viewer", "outbound-acting-role", "admin"},
		{"outbound-acting-name-bin", "ada", "outbound-acting-name-bin", "eve", "outbound-acting-role", "admin"},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), pairs...)
		_, err := v1.NewRecipientServiceClient(rpc.Bearing(conn, "obt_service")).GetRecipient(ctx, &v1.GetRecipientRequest{Id: "r"})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%q: %v", pairs, err)
		}
	}
}

func TestRESTCallersCannotNameAPerson(t *testing.T) {
	url := rest(t, whoami())
	for _, prefix := range []string{"", "Grpc-Metadata-", "grpc-metadata-"} {
		for _, token := range []string{adminToken, "obt_service"} {
			got := ask(t, http.MethodGet, url+"/v1/recipients/r", "", "Authorization", "Bearer "+token,
				prefix+"outbound-acting-name-bin", "ZXZl", prefix+"outbound-acting-role", "viewer")
			want := strings.TrimPrefix(token, "obt_")
			if token == adminToken {
				want = "admin"
			}
			if got.code != http.StatusOK || got.body["id"] != want || got.body["displayName"] == "eve" {
				t.Errorf("%s with %q: %d %s", token, prefix, got.code, got.text)
			}
		}
	}
}
