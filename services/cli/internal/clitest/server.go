// Package clitest runs commands in tests, against a server with fixed answers.
package clitest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Answer answers a call with a status and a body.
type Answer func(*http.Request) (status int, body string)

// JSON answers with a body.
func JSON(body string) Answer {
	return func(*http.Request) (int, string) { return http.StatusOK, body }
}

// Message answers with a message of the API.
func Message(m proto.Message) Answer {
	return func(*http.Request) (int, string) {
		raw, err := protojson.Marshal(m)
		if err != nil {
			return http.StatusInternalServerError, err.Error()
		}
		return http.StatusOK, string(raw)
	}
}

// Refusal answers with a google.rpc.Status. Each of the fields is a field and, behind a colon, what is wrong with it.
func Refusal(code codes.Code, message string, fields ...string) Answer {
	return func(*http.Request) (int, string) {
		violations := []map[string]string{}
		for _, f := range fields {
			field, description, _ := strings.Cut(f, ":")
			violations = append(violations, map[string]string{"field": field, "description": description})
		}
		raw, err := json.Marshal(map[string]any{"code": code, "message": message,
			"details": []any{map[string]any{"fieldViolations": violations}}})
		if err != nil {
			return http.StatusInternalServerError, err.Error()
		}
		return http.StatusBadRequest, string(raw)
	}
}

// InTurn gives one answer after another, and the last one from then on.
func InTurn(answers ...Answer) Answer {
	var n atomic.Int64
	return func(r *http.Request) (int, string) {
		return answers[min(int(n.Add(1)), len(answers))-1](r)
	}
}

// Call is a call that the server got.
type Call struct {
	// Path is the path with its query.
	Method, Path, Body string
}

// Server answers calls by their method and path, e.g. `GET /v1/recipients`, and records them.
type Server struct {
	URL string
	// InTerminal says that standard input is a terminal.
	InTerminal bool
	// In is the standard input of commands, Env their environment.
	In  string
	Env map[string]string

	mu    sync.Mutex
	calls []Call
}

// Serve starts a server. A call without an answer fails the test.
func Serve(t *testing.T, answers map[string]Answer) *Server {
	t.Helper()
	s := &Server{Env: map[string]string{"OUTBOUND_TOKEN": "token"}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body of %s %s: %v", r.Method, r.URL, err)
		}
		s.mu.Lock()
		s.calls = append(s.calls, Call{Method: r.Method, Path: r.URL.RequestURI(), Body: string(body)})
		s.mu.Unlock()
		answer, ok := answers[r.Method+" "+r.URL.EscapedPath()]
		if !ok {
			t.Errorf("an unexpected call: %s %s %s", r.Method, r.URL, body)
			answer = Refusal(codes.Unimplemented, "no such call")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		status, text := answer(r)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(web.Close)
	s.URL, s.Env["OUTBOUND_URL"] = web.URL, web.URL
	return s
}

// Calls are the calls so far with this method, in their order; all calls if it is empty.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if method == "" || c.Method == method {
			out = append(out, c)
		}
	}
	return out
}
