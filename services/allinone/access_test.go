package allinone_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestNobodyCallsWhatTheirRoleMayNot makes every method of the API and every REST route, as the descriptors have them, be called by every
// kind of caller. rpc.Rules says what is allowed; testdata/access.golden, written from the answers, says it to a reviewer.
func TestNobodyCallsWhatTheirRoleMayNot(t *testing.T) {
	r := start(t, options(t))
	m := &matrix{t: t, r: r, rules: rpc.Rules(), allowed: map[string][]string{}}
	var err error
	if m.conn, err = rpc.Dial(r.at.GRPC, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.conn.Close() }()
	methods := apiMethods(t)
	url, _ := receiver(t)
	r.recipient("Tickets", url, "")
	m.appliance = r.appliance("a-1")
	everybody := callers(r)
	for _, who := range everybody {
		for _, method := range methods {
			rule, known := m.rules[fullName(method)]
			if !known {
				t.Errorf("%s has no entry in rpc.Rules", fullName(method))
				continue
			}
			allowed := who.role != 0 && rule.Allows(who.role) || rule.Open
			if who.md != nil {
				m.call(who, method, allowed)
			}
			for _, route := range routesOf(method) {
				if who.header != nil {
					m.visit(who, route, allowed)
				}
			}
		}
	}
	t.Logf("%d calls of %d methods by %d callers: %d wrongly allowed, %d wrongly refused",
		m.calls, len(methods), len(everybody), m.wronglyAllowed, m.wronglyRefused)
	if m.wronglyAllowed+m.wronglyRefused > 0 || m.calls < 2000 {
		t.Errorf("%d calls: %d wrongly allowed, %d wrongly refused", m.calls, m.wronglyAllowed, m.wronglyRefused)
	}
	golden.Check(t, "access.golden", m.table(methods))
}

// matrix counts calls and how they ended.
type matrix struct {
	t     *testing.T
	r     *running
	conn  *grpc.ClientConn
	rules map[string]rpc.Rule
	// appliance publishes the events that streams tell of.
	appliance credentials
	events    int
	// allowed lists for each method the callers that it was seen to let in.
	allowed                               map[string][]string
	calls, wronglyAllowed, wronglyRefused int
}

// judge compares how a call ended with how it should have.
func (m *matrix) judge(who caller, what, end string, passed, want bool) {
	m.t.Helper()
	m.calls++
	switch {
	case passed && !want:
		m.wronglyAllowed++
		m.t.Errorf("%s may call %s: %s", who.name, what, end)
	case !passed && want:
		m.wronglyRefused++
		m.t.Errorf("%s may not call %s: %s", who.name, what, end)
	}
}

// call makes one gRPC call with an empty request.
func (m *matrix) call(who caller, method protoreflect.MethodDescriptor, want bool) {
	m.t.Helper()
	ctx, cancel := waittest.Context(metadata.NewOutgoingContext(m.t.Context(), metadata.Pairs(who.md...)))
	defer cancel()
	streams := method.IsStreamingServer()
	request, reply := empty(m.t, method.Input()), empty(m.t, method.Output())
	var err error
	if !streams {
		err = m.conn.Invoke(ctx, fullName(method), request, reply)
	} else {
		var s grpc.ClientStream
		d := &grpc.StreamDesc{ServerStreams: true, ClientStreams: method.IsStreamingClient()}
		if s, err = m.conn.NewStream(ctx, d, fullName(method)); err == nil {
			_, _ = s.SendMsg(request), s.CloseSend() // RecvMsg tells how the stream ended
			err = m.answer(fullName(method), func() error { return s.RecvMsg(reply) })
		}
	}
	code := status.Code(err)
	refused := code == codes.Unauthenticated || code == codes.PermissionDenied
	if who.words != "" {
		refused = refused || code == codes.InvalidArgument && strings.Contains(err.Error(), who.words)
	}
	if code == codes.Internal || code == codes.Unknown && err != nil && !strings.Contains(err.Error(), io.EOF.Error()) {
		m.t.Errorf("%s calls %s: %v", who.name, fullName(method), err)
	}
	m.judge(who, fullName(method), fmt.Sprint(err), !refused, want)
	if !refused && who.kind != "" && !slices.Contains(m.allowed[fullName(method)], who.kind) {
		m.allowed[fullName(method)] = append(m.allowed[fullName(method)], who.kind)
	}
}

// answer waits for the answer of a stream. One that has nothing to say gets an event to tell of.
func (m *matrix) answer(what string, wait func() error) (err error) {
	m.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	asked := 0
	waittest.Until(m.t, "an answer of "+what, func() bool {
		select {
		case err = <-ended:
			return true
		default:
		}
		if asked++; asked > 3 {
			m.events++
			m.r.publish(m.appliance.Token, fmt.Sprint("e-", m.events))
		}
		return false
	})
	return err
}

// route is a REST route of a method.
type route struct {
	method, path string
	body, stream bool
}

func (m *matrix) visit(who caller, at route, want bool) {
	m.t.Helper()
	ctx, cancel := waittest.Context(m.t.Context())
	defer cancel()
	var body io.Reader
	if at.body {
		body = strings.NewReader("{}")
	}
	q, err := http.NewRequestWithContext(ctx, at.method, "http://"+m.r.at.HTTP+at.path, body)
	if err != nil {
		m.t.Fatal(err)
	}
	q.Header = who.header.Clone()
	q.Header.Set("Content-Type", "application/json")
	var a *http.Response
	ask := func() (err error) { a, err = m.r.client.Do(q); return err }
	if at.stream {
		err = m.answer(at.path, ask)
	} else {
		err = ask()
	}
	if err != nil {
		m.t.Fatalf("%s %s: %v", at.method, at.path, err)
	}
	_ = a.Body.Close()
	refused := a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden
	if a.StatusCode >= http.StatusInternalServerError && a.StatusCode != http.StatusServiceUnavailable {
		m.t.Errorf("%s %s by %s: %d", at.method, at.path, who.name, a.StatusCode)
	}
	m.judge(who, at.method+" "+at.path, a.Status, !refused, want)
}

// table is who may call what, a line each.
func (m *matrix) table(methods []protoreflect.MethodDescriptor) []byte {
	var b strings.Builder
	for _, method := range methods {
		fmt.Fprintf(&b, "%s: %s\n", fullName(method), strings.Join(m.allowed[fullName(method)], " "))
	}
	return []byte(b.String())
}

// apiMethods are the methods of the API, of health and of reflection, by name.
func apiMethods(t *testing.T) (all []protoreflect.MethodDescriptor) {
	t.Helper()
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if p := string(f.Package()); p != "outbound.v1" && p != "grpc.health.v1" && !strings.HasPrefix(p, "grpc.reflection.") {
			return true
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				all = append(all, f.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	if len(all) < 70 {
		t.Fatalf("found %d methods: that cannot be all", len(all))
	}
	slices.SortFunc(all, func(a, b protoreflect.MethodDescriptor) int { return strings.Compare(fullName(a), fullName(b)) })
	return all
}

func fullName(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

func empty(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return mt.New().Interface()
}

// routesOf are the REST routes of a method, with `x` in place of what the path names.
func routesOf(m protoreflect.MethodDescriptor) (all []route) {
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		at := route{body: r.GetBody() != "", stream: m.IsStreamingServer()}
		switch p := r.GetPattern().(type) {
		case *annotations.HttpRule_Get:
			at.method, at.path = http.MethodGet, p.Get
		case *annotations.HttpRule_Post:
			at.method, at.path = http.MethodPost, p.Post
		case *annotations.HttpRule_Put:
			at.method, at.path = http.MethodPut, p.Put
		case *annotations.HttpRule_Patch:
			at.method, at.path = http.MethodPatch, p.Patch
		case *annotations.HttpRule_Delete:
			at.method, at.path = http.MethodDelete, p.Delete
		}
		for {
			before, rest, found := strings.Cut(at.path, "{")
			if !found {
				break
			}
			_, after, _ := strings.Cut(rest, "}")
			at.path = before + "x" + after
		}
		all = append(all, at)
	}
	return all
}
