package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/outbound-events/outbound/pkg/rpc"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// tokens maps each token to whose it is; "" is no token, "wrong" is nobody's.
const (
	adminToken     = "obt_admin"
	serviceToken   = "obt_service"
	applianceToken = "obt_appliance"
)

// known knows the three tokens.
type known struct{}

func (known) Authenticate(ctx context.Context, token string) (rpc.Principal, error) {
	if token == applianceToken {
		return rpc.Principal{Role: rpc.RoleAppliance, Appliance: "a-1"}, nil
	}
	return rpc.Tokens{Admin: adminToken, Service: serviceToken}.Authenticate(ctx, token)
}

// everything registers every service, each method UNIMPLEMENTED.
func everything(s grpc.ServiceRegistrar) {
	v1.RegisterRecipientServiceServer(s, v1.UnimplementedRecipientServiceServer{})
	v1.RegisterSettingsServiceServer(s, v1.UnimplementedSettingsServiceServer{})
	v1.RegisterEventServiceServer(s, v1.UnimplementedEventServiceServer{})
	v1.RegisterDeliveryServiceServer(s, v1.UnimplementedDeliveryServiceServer{})
	v1.RegisterStatusServiceServer(s, v1.UnimplementedStatusServiceServer{})
	v1.RegisterAccessServiceServer(s, &v1.UnimplementedAccessServiceServer{})
	v1.RegisterBackupServiceServer(s, v1.UnimplementedBackupServiceServer{})
	v1.RegisterKeyServiceServer(s, v1.UnimplementedKeyServiceServer{})
	v1.RegisterAuditServiceServer(s, v1.UnimplementedAuditServiceServer{})
}

// methods lists every method of the API.
func methods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("outbound.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				all = append(all, s.Methods().Get(j))
			}
		}
		return true
	})
	if len(all) < 30 {
		t.Fatalf("found %d methods: that cannot be all", len(all))
	}
	return all
}

func fullMethod(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

func empty(t *testing.T, m protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return mt.New().Interface()
}

// call makes a call with an empty request and gives the code of its end.
func call(t *testing.T, conn *grpc.ClientConn, m protoreflect.MethodDescriptor) codes.Code {
	t.Helper()
	req, reply := empty(t, m.Input()), empty(t, m.Output())
	if !m.IsStreamingServer() {
		return status.Code(conn.Invoke(t.Context(), fullMethod(m), req, reply))
	}
	s, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, fullMethod(m))
	if err != nil {
		t.Fatal(err)
	}
	// A send may meet a stream that was refused already; RecvMsg tells how.
	_ = s.SendMsg(req)
	_ = s.CloseSend()
	return status.Code(s.RecvMsg(reply))
}

// mayCall is the policy in words: people do everything but watch what is stored; services watch and get; appliances publish.
func mayCall(token, method string) bool {
	watchesStore := method == "WatchRecipients" || method == "WatchSettings" || method == "RequestBookmark"
	switch token {
	case adminToken:
		return !watchesStore && method != "SignIn" && method != "SignInWithOpenID" && method != "KeepRelayToken" &&
			method != "RecordSession"
	case serviceToken:
		if method == "GetSelf" || method == "GetReplay" || method == "GetDelivery" || method == "GetCheckpointKey" {
			return false
		}
		named := []string{"RequestBookmark", "SignIn", "SignInWithOpenID", "ListUsers", "KeepRelayToken", "RecordSession"}
		return strings.HasPrefix(method, "Watch") || strings.HasPrefix(method, "Get") || slices.Contains(named, method)
	case applianceToken:
		return method == "PublishEvent"
	default:
		return false
	}
}

func TestEachRoleMayCallItsMethodsAndNoOthers(t *testing.T) {
	for _, token := range []string{adminToken, serviceToken, applianceToken, "", "wrong"} {
		conn := serve(t, rpc.ServerOptions{Authenticator: known{}}, everything, token)
		for _, m := range methods(t) {
			code := call(t, conn, m)
			passed := code == codes.Unimplemented || code == codes.InvalidArgument
			refused := codes.PermissionDenied
			if token == "" || token == "wrong" {
				refused = codes.Unauthenticated
			}
			if want := mayCall(token, string(m.Name())); passed != want || (!want && code != refused) {
				t.Errorf("%q calls %s: %s, want it allowed: %v", token, fullMethod(m), code, want)
			}
		}
	}
}

func TestEveryMethodHasARuleAndEveryRuleAMethod(t *testing.T) {
	rules := rpc.Rules()
	for _, m := range methods(t) {
		if _, ok := rules[fullMethod(m)]; !ok {
			t.Errorf("%s has no rule: nobody may call it", fullMethod(m))
		}
		delete(rules, fullMethod(m))
	}
	for name := range rules {
		if !strings.HasPrefix(name, "/grpc.health.v1.Health/") && !strings.HasPrefix(name, "/grpc.reflection.") {
			t.Errorf("rule for %s, which is no method", name)
		}
	}
}

func TestAMethodWithoutARuleIsNobodys(t *testing.T) {
	other := func(s grpc.ServiceRegistrar) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "other.Service", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
			MethodName: "Do",
			Handler: func(_ any, ctx context.Context, decode func(any) error, i grpc.UnaryServerInterceptor) (any, error) {
				req := &v1.GetStatusRequest{}
				if err := decode(req); err != nil {
					return nil, err
				}
				return i(ctx, req, &grpc.UnaryServerInfo{FullMethod: "/other.Service/Do"},
					func(context.Context, any) (any, error) { return &v1.Status{}, nil })
			},
		}}}, nil)
	}
	conn := serve(t, rpc.ServerOptions{Authenticator: known{}}, other, adminToken)
	if err := conn.Invoke(t.Context(), "/other.Service/Do", &v1.GetStatusRequest{}, &v1.Status{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("answered %v, want PERMISSION_DENIED", err)
	}
}
