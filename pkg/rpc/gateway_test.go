package rpc_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/rpc"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// rest starts a gateway before a server and gives its URL.
func rest(t *testing.T, h *recipients) string {
	t.Helper()
	conn := serve(t, rpc.ServerOptions{Authenticator: known{}}, func(s grpc.ServiceRegistrar) {
		h.register(s)
		v1.RegisterSettingsServiceServer(s, v1.UnimplementedSettingsServiceServer{})
		v1.RegisterDeliveryServiceServer(s, v1.UnimplementedDeliveryServiceServer{})
	}, "")
	mux := rpc.NewGateway()
	routes := rpc.Routes{
		"/outbound.v1.RecipientService": conn, "/outbound.v1.SettingsService": conn,
		"/outbound.v1.DeliveryService/ListDeliveries": conn,
	}
	if err := rpc.RegisterGateway(t.Context(), mux, routes); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// answer is what a REST call came to.
type answer struct {
	code   int
	header http.Header
	text   string
	body   map[string]any
}

func ask(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{code: resp.StatusCode, header: resp.Header, text: string(b)}
	if err := json.Unmarshal(b, &a.body); err != nil {
		t.Fatalf("%s %s answered %d with no JSON object: %q", method, url, a.code, b)
	}
	return a
}

func TestRESTGivesEveryScalarInLowerCamelCase(t *testing.T) {
	h := &recipients{get: func(context.Context, *v1.GetRecipientRequest) (*v1.Recipient, error) {
		off := false
		return &v1.Recipient{Id: "crm", DisplayName: "CRM", Enabled: &off, Etag: "7", WhileDisabled: v1.Recipient_WhileDisabled_SKIP}, nil
	}}
	a := ask(t, "GET", rest(t, h)+"/v1/recipients/crm", "")
	if a.code != 200 || a.body["displayName"] != "CRM" || a.body["enabled"] != false || a.body["whileDisabled"] != "SKIP" ||
		a.header.Get("ETag") != `"7"` {
		t.Errorf("answered %d %s with ETag %s", a.code, a.text, a.header.Get("ETag"))
	}
	if list, ok := a.body["eventTypes"].([]any); !ok || len(list) != 0 {
		t.Errorf("an empty list is not shown: %s", a.text)
	}
}

func TestRESTHandsOnIfMatchAndTheFieldsOfAPatch(t *testing.T) {
	want := "7"
	h := &recipients{update: func(_ context.Context, q *v1.UpdateRecipientRequest) (*v1.Recipient, error) {
		if got := q.GetRecipient().GetEtag(); got != want {
			return nil, rpc.FailedPrecondition("TEST", "the etag is "+got)
		}
		if got := strings.Join(q.GetUpdateMask().GetPaths(), ","); got != "display_name" && got != "displayName" ||
			q.GetRecipient().GetId() != "crm" {
			return nil, rpc.FailedPrecondition("TEST", "mask is "+got)
		}
		return q.GetRecipient(), nil
	}}
	url := rest(t, h) + "/v1/recipients/crm"
	if a := ask(t, "PATCH", url, `{"displayName":"CRM 2"}`, "If-Match", `"7"`); a.code != 200 || a.body["displayName"] != "CRM 2" {
		t.Errorf("answered %d %s", a.code, a.text)
	}
	want = ""
	if a := ask(t, "PATCH", url, `{"displayName":"CRM 2"}`, "If-Match", "*"); a.code != 200 {
		t.Errorf("whatever its etag: %d %s", a.code, a.text)
	}
	want = "body"
	if a := ask(t, "PATCH", url+"?updateMask=displayName", `{"displayName":"CRM 2","etag":"body"}`, "If-Match", `"7"`); a.code != 200 {
		t.Errorf("the etag of the body: %d %s", a.code, a.text)
	}
}

func TestRESTRefusesWhatItDoesNotUnderstandByName(t *testing.T) {
	h := &recipients{create: func(_ context.Context, q *v1.CreateRecipientRequest) (*v1.Recipient, error) {
		return q.GetRecipient(), nil
	}}
	url := rest(t, h)
	for name, c := range map[string]struct {
		method, path, body string
		code               int
		grpc               codes.Code
		text               []string
	}{
		"malformed": {"POST", "/v1/recipients", "{\n \"displayName\": nope}", 400, codes.InvalidArgument,
			[]string{"request body: ", "(line 2:17)", "nope"}},
		"cut off": {"POST", "/v1/recipients", `{"displayName":`, 400, codes.InvalidArgument,
			[]string{"request body: ", "unexpected EOF"}},
		"unknown field": {"POST", "/v1/recipients", `{"displayNam":"x"}`, 400, codes.InvalidArgument,
			[]string{"request body: ", `unknown field "displayNam"`, "line 1:2"}},
		"unknown, patched": {"PATCH", "/v1/recipients/crm", `{"displayNam":"x"}`, 400, codes.InvalidArgument,
			[]string{`unknown field "displayNam"`}},
		"wrong type": {"POST", "/v1/recipients", `{"displayName":5}`, 400, codes.InvalidArgument, []string{"displayName", "line 1:16"}},
		"wrong enum": {"POST", "/v1/recipients", `{"whileDisabled":"KEEP"}`, 400, codes.InvalidArgument,
			[]string{"whileDisabled", `"KEEP"`}},
		"twice":         {"POST", "/v1/recipients", `{"id":"a","id":"b"}`, 400, codes.InvalidArgument, []string{"duplicate field", "id"}},
		"more behind":   {"POST", "/v1/recipients", `{"id":"a"} {}`, 400, codes.InvalidArgument, []string{"request body: "}},
		"unknown query": {"GET", "/v1/recipients?pageSzie=1", "", 400, codes.InvalidArgument, []string{`unknown query parameter "pageSzie"`}},
		"query inside": {"GET", "/v1/deliveries:tail?recipient_id=crm", "", 400, codes.InvalidArgument,
			[]string{`unknown query parameter "recipient_id": use filter.recipient_id`}},
		"wrong query": {"GET", "/v1/recipients?page_size=many", "", 400, codes.InvalidArgument, []string{"page_size"}},
		"no path":     {"GET", "/v1/nothing", "", 404, codes.NotFound, []string{"unknown path /v1/nothing"}},
		"no method":   {"PUT", "/v1/recipients", "{}", 405, codes.Unimplemented, []string{"method PUT is not allowed for /v1/recipients"}},
		"no service": {"GET", "/v1/status", "", 501, codes.Unimplemented,
			[]string{"no service of this installation serves /outbound.v1.StatusService/GetStatus"}},
		"no method here": {"POST", "/v1/deliveries:retry", "{}", 501, codes.Unimplemented, []string{"no service of this installation serves"}},
		"empty":          {"POST", "/v1/recipients", "", 400, codes.InvalidArgument, []string{"recipient"}},
		"large": {"POST", "/v1/recipients", `{"displayName":"` + strings.Repeat("x", 5<<20) + `"}`, 413, codes.OutOfRange,
			[]string{"larger than 4194304 bytes"}},
		"large, patched": {"PATCH", "/v1/recipients/crm", `{"displayName":"` + strings.Repeat("x", 5<<20) + `"}`, 413, codes.OutOfRange,
			[]string{"larger than"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t, c.method, url+c.path, c.body)
			if a.code != c.code || a.body["code"] != float64(c.grpc) || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("answered %d %s: want %d and code %d", a.code, a.text, c.code, c.grpc)
			}
			message, _ := a.body["message"].(string)
			for _, want := range c.text {
				if !strings.Contains(message, want) {
					t.Errorf("message is %q, want %q in it", message, want)
				}
			}
		})
	}
}

func TestRESTErrorsHoldEveryFieldViolation(t *testing.T) {
	a := ask(t, "POST", rest(t, &recipients{})+"/v1/recipients",
		`{"id":"No Good","eventTypes":["support_conference_end"],"http":{"url":"","retryInterval":"0.001s"}}`)
	for _, want := range []string{"google.rpc.BadRequest", `"field":"recipient.id"`, `"field":"recipient.displayName"`,
		`"field":"recipient.http.url"`, `"field":"recipient.http.retryInterval"`} {
		if !strings.Contains(strings.ReplaceAll(a.text, `": "`, `":"`), want) {
			t.Errorf("%d answer lacks %s: %s", a.code, want, a.text)
		}
	}
}

func TestRESTStatusOfEveryCode(t *testing.T) {
	var code codes.Code
	url := rest(t, &recipients{get: func(context.Context, *v1.GetRecipientRequest) (*v1.Recipient, error) {
		return nil, status.Error(code, "x")
	}})
	for c, want := range map[codes.Code]int{
		codes.InvalidArgument: 400, codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.NotFound: 404, codes.AlreadyExists: 409,
		codes.Aborted: 409, codes.OutOfRange: 413, codes.ResourceExhausted: 429, codes.FailedPrecondition: 400, codes.Unavailable: 503,
		codes.Unimplemented: 501, codes.Internal: 500, codes.DeadlineExceeded: 504,
	} {
		code = c
		if a := ask(t, "GET", url+"/v1/recipients/crm", ""); a.code != want || a.body["code"] != float64(c) {
			t.Errorf("%s is answered %d, want %d", c, a.code, want)
		}
	}
}

func TestRESTNeedsTheCallersToken(t *testing.T) {
	url := rest(t, &recipients{})
	for token, want := range map[string]int{"": 401, "Bearer wrong": 401, "Basic x": 401, "Bearer " + applianceToken: 403} {
		a := ask(t, "GET", url+"/v1/recipients/crm", "", "Authorization", token)
		if a.code != want || (want == 401 && a.header.Get("WWW-Authenticate") != "Bearer") {
			t.Errorf("%q is answered %d %v, want %d", token, a.code, a.header, want)
		}
	}
}

func TestRESTTellsOfAServiceThatIsAwayWithoutItsAddress(t *testing.T) {
	conn, err := rpc.Dial(porttest.Address(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	mux := rpc.NewGateway()
	if err := rpc.RegisterGateway(t.Context(), mux, conn); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(mux)
	defer s.Close()
	if a := ask(t, "GET", s.URL+"/v1/status", ""); a.code != 503 || strings.Contains(a.text, "127.0.0.1") {
		t.Errorf("answered %d %s", a.code, a.text)
	}
}
