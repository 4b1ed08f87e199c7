package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// connect returns a client of a server with fixed answers.
func connect(t *testing.T, answers map[string]clitest.Answer) (*client.Client, *clitest.Server) {
	t.Helper()
	s := clitest.Serve(t, answers)
	c := client.New(s.URL, "s3cret", "1.2.3", nil)
	t.Cleanup(c.Close)
	return c, s
}

func TestACallCarriesTheTokenAndTheMessage(t *testing.T) {
	var header http.Header
	c, s := connect(t, map[string]clitest.Answer{"POST /v1/recipients": func(r *http.Request) (int, string) {
		header = r.Header
		return http.StatusOK, `{"id":"crm","fieldOfALaterRelease":1}`
	}})
	made := &outboundv1.Recipient{}
	if err := c.Call(t.Context(), http.MethodPost, "/v1/recipients", &outboundv1.Recipient{DisplayName: "CRM"}, made); err != nil {
		t.Fatal(err)
	}
	if made.GetId() != "crm" {
		t.Errorf("read %v", made)
	}
	for name, want := range map[string]string{"Authorization": "Bearer s3cret", "User-Agent": "outbound-cli/1.2.3",
		"Content-Type": "application/json"} {
		if header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, header.Get(name), want)
		}
	}
	if calls := s.Calls(""); len(calls) != 1 || !strings.Contains(calls[0].Body, `"CRM"`) {
		t.Errorf("called %v", calls)
	}
}

func TestARefusalHasACodeAndFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer clitest.Answer
		exit   int
		// says is part of the error, lines are its lines.
		says  string
		lines []string
	}{
		{"not found", clitest.Refusal(codes.NotFound, "no such recipient"), exit.CodeNotFound, "no such recipient", nil},
		{"exists", clitest.Refusal(codes.AlreadyExists, "the name is taken"), exit.CodeConflict, "the name is taken", nil},
		{"changed", clitest.Refusal(codes.Aborted, "the etag is old"), exit.CodeConflict, "the etag is old", nil},
		{"denied", clitest.Refusal(codes.PermissionDenied, "viewers only read", "role: x"), exit.CodeFailed, "viewers only read", nil},
		{"no token", clitest.Refusal(codes.Unauthenticated, "no such token"), exit.CodeFailed, "OUTBOUND_TOKEN", nil},
		{"one fault", clitest.Refusal(codes.InvalidArgument, "m", "url: is missing"), exit.CodeFailed, "", []string{"url:  is missing"}},
		{"two faults", clitest.Refusal(codes.InvalidArgument, "m", "url:a", "id:b"), exit.CodeFailed, "2 ", []string{"url: a", "id: b"}},
		{"no faults", clitest.Refusal(codes.InvalidArgument, "the mask is empty"), exit.CodeFailed, "the mask is empty", nil},
		{"no status", func(*http.Request) (int, string) { return http.StatusBadGateway, "<html>" }, exit.CodeFailed, "502 Bad Gateway", nil},
	} {
		client, _ := connect(t, map[string]clitest.Answer{"GET /v1/x": c.answer})
		err := client.Call(t.Context(), http.MethodGet, "/v1/x", nil, nil)
		var lines interface{ Lines() []string }
		if !errors.As(err, &lines) || !slices.Equal(lines.Lines(), c.lines) || exit.Code(err) != c.exit ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: exit %d, %v", c.name, exit.Code(err), err)
		}
	}
}

func TestATokenIsNotSentToWhereAnAnswerPoints(t *testing.T) {
	c, _ := connect(t, map[string]clitest.Answer{"GET /v1/x": func(*http.Request) (int, string) { return http.StatusFound, "" }})
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("called with %v", r.Header) }))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	for _, c := range []*client.Client{c, client.New(first.URL, "s3cret", "1", nil)} {
		if err := c.Call(t.Context(), http.MethodGet, "/v1/x", nil, nil); err == nil {
			t.Error("a redirection is an answer")
		}
		c.Close()
	}
}

func TestAnAddressWhereNothingAnswers(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close()
	c := client.New(web.URL, "s3cret", "1", nil)
	if err := c.Call(t.Context(), http.MethodGet, "/v1/x", nil, nil); exit.Code(err) != exit.CodeFailed ||
		!strings.Contains(err.Error(), web.URL) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Call(ctx, http.MethodGet, "/v1/x", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := client.New("http://[::1", "", "", nil).Call(t.Context(), http.MethodGet, "/v1/x", nil, nil); exit.Code(err) != exit.CodeUsage {
		t.Errorf("no address: %v", err)
	}
}

func TestAnAnswerThatIsNoMessage(t *testing.T) {
	for name, body := range map[string]string{"HTML": "<html>", "a list": "[]", "another type": `{"id":7}`} {
		c, _ := connect(t, map[string]clitest.Answer{"GET /v1/x": clitest.JSON(body)})
		if err := c.Call(t.Context(), http.MethodGet, "/v1/x", nil, &outboundv1.Recipient{}); err == nil ||
			!strings.Contains(err.Error(), "/v1/x") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, _ := connect(t, map[string]clitest.Answer{"GET /v1/x": clitest.JSON("<html>")})
	if err := c.Call(t.Context(), http.MethodGet, "/v1/x", nil, nil); err != nil {
		t.Errorf("an answer that nobody reads: %v", err)
	}
}

func TestResources(t *testing.T) {
	c, s := connect(t, map[string]clitest.Answer{
		"GET /v1/recipients": clitest.InTurn(clitest.JSON(`{"recipients":[{"id":"a"}],"nextPageToken":"2","totalSize":2}`),
			clitest.JSON(`{"recipients":[{"id":"b"}]}`)),
		"PATCH /v1/recipients/a%2F": clitest.JSON(`{"id":"a/"}`),
		"POST /v1/events": clitest.InTurn(clitest.JSON(`{"eventId":"a1~e-1","sequence":"7"}`), clitest.JSON("[]"),
			clitest.Refusal(codes.InvalidArgument, "m", "type: x")),
	})
	all, err := c.AllRecipients(t.Context())
	if err != nil || len(all.GetRecipients()) != 2 {
		t.Errorf("got %v, %v", all, err)
	}
	saved := &outboundv1.Recipient{}
	err = c.Patch(t.Context(), client.RecipientPath("a/"), &outboundv1.Recipient{DisplayName: "A"}, []string{"display_name", "enabled"}, saved)
	if err != nil || saved.GetId() != "a/" {
		t.Errorf("saved %v, %v", saved, err)
	}
	for i, good := range []bool{true, false, false} {
		if _, err := c.Publish(t.Context(), []byte(`{"sent": "as it is"}`)); (err == nil) != good {
			t.Errorf("publish %d: %v", i, err)
		}
	}
	want := []string{
		"/v1/recipients?pageSize=1000&pageToken=", "/v1/recipients?pageSize=1000&pageToken=2",
		"/v1/recipients/a%2F?updateMask=display_name%2Cenabled", "/v1/events",
	}
	for i, path := range want {
		if got := s.Calls("")[i].Path; got != path {
			t.Errorf("call %d is of %s, want %s", i, got, path)
		}
	}
	if body := s.Calls("")[3].Body; body != `{"sent": "as it is"}` {
		t.Errorf("published %s", body)
	}
}

func TestPages(t *testing.T) {
	var sizes []int
	ask := func(size int, token string) (int, string, error) {
		sizes = append(sizes, size)
		switch token {
		case "":
			return size, "2", nil
		case "2":
			return 10, "", nil
		default:
			return 0, "", io.ErrUnexpectedEOF
		}
	}
	for limit, want := range map[int][]int{5: {5}, 1000: {1000}, 1200: {1000, 200}, 5000: {1000, 1000}} {
		if sizes = nil; client.EachPage(limit, ask) != nil || !slices.Equal(sizes, want) {
			t.Errorf("of %d: asked for %v, want %v", limit, sizes, want)
		}
	}
	if err := client.EachPage(0, ask); exit.Code(err) != exit.CodeUsage {
		t.Errorf("no limit: %v", err)
	}
	fails := func(int, string) (int, string, error) { return 0, "", io.ErrUnexpectedEOF }
	if err := client.EachPage(1, fails); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a page that fails: %v", err)
	}
	query := map[string][]string{"state": {"RETRYING"}, "empty": {""}}
	if got := client.PageQuery(query, 7, ""); got != "pageSize=7&state=RETRYING" {
		t.Errorf("got %s", got)
	}
	if got := client.PageQuery(query, 7, "x y"); got != "pageSize=7&pageToken=x+y&state=RETRYING" {
		t.Errorf("got %s", got)
	}
}
