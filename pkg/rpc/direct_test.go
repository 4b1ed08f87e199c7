package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// A direct call is answered as a call over a connection is.
func TestADirectCallMeetsWhatACallOfAServerMeets(t *testing.T) {
	h := &recipients{get: func(ctx context.Context, r *v1.GetRecipientRequest) (*v1.Recipient, error) {
		switch r.GetId() {
		case "panic":
			panic("on purpose")
		case "unknown":
			return nil, errors.New("an error that no table knows")
		case "away":
			return nil, rpc.Unavailable("away")
		}
		_, ends := ctx.Deadline()
		p, _ := rpc.PrincipalFrom(ctx)
		return &v1.Recipient{Id: r.GetId(), DisplayName: p.Name, Enabled: proto.Bool(ends)}, nil
	}}
	o := rpc.ServerOptions{Authenticator: known{}, Logger: slog.New(slog.DiscardHandler)}
	conn := serve(t, o, h.register, "")
	direct := rpc.NewDirect(o)
	h.register(direct)
	for name, x := range map[string]struct {
		tokens []string
		id     string
		code   codes.Code
	}{
		"a call":               {[]string{"Bearer " + adminToken}, "crm", codes.OK},
		"no token":             {nil, "crm", codes.Unauthenticated},
		"two tokens":           {[]string{"Bearer " + adminToken, "Bearer " + adminToken}, "crm", codes.Unauthenticated},
		"an unknown token":     {[]string{"Bearer nobody"}, "crm", codes.Unauthenticated},
		"a role that may not":  {[]string{"Bearer " + applianceToken}, "crm", codes.PermissionDenied},
		"a fault of the rules": {[]string{"Bearer " + adminToken}, "", codes.InvalidArgument},
		"a panic":              {[]string{"Bearer " + adminToken}, "panic", codes.Internal},
		"an unknown error":     {[]string{"Bearer " + adminToken}, "unknown", codes.Internal},
		"an error":             {[]string{"Bearer " + adminToken}, "away", codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			call := func(c grpc.ClientConnInterface) (*v1.Recipient, error) {
				ctx := t.Context()
				if x.tokens != nil {
					ctx = metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": x.tokens})
				}
				return v1.NewRecipientServiceClient(c).GetRecipient(ctx, &v1.GetRecipientRequest{Id: x.id})
			}
			want, wrong := call(conn)
			got, err := call(direct)
			if status.Code(wrong) != x.code || !proto.Equal(status.Convert(err).Proto(), status.Convert(wrong).Proto()) {
				t.Errorf("the direct call is answered with %v, the other with %v, want %v", err, wrong, x.code)
			}
			if wrong == nil && !proto.Equal(got, want) {
				t.Errorf("the direct call is answered with %v, the other with %v", got, want)
			}
		})
	}
	if err := direct.Invoke(t.Context(), "/x/y", &v1.Recipient{}, &v1.Recipient{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method is answered with %v", err)
	}
	_, err := v1.NewRecipientServiceClient(direct).WatchRecipients(t.Context(), &v1.WatchRecipientsRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a stream is answered with %v", err)
	}
}
