package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Client speaks the REST API, as an operator's script would: plain JSON and a bearer token.
type Client struct {
	Base, Token string
	http        *http.Client
}

// NewClient makes a client.
func NewClient(base, token string) *Client {
	return &Client{Base: base, Token: token,
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
}

// Trust has the client verify an https server so; nil: by the system's roots.
func (c *Client) Trust(secure *tls.Config) {
	c.http.Transport = &http.Transport{MaxIdleConnsPerHost: 256, TLSClientConfig: secure, ForceAttemptHTTP2: secure != nil}
}

// As is a client of the same server with another token.
func (c *Client) As(token string) *Client {
	other := NewClient(c.Base, token)
	if own, ok := c.http.Transport.(*http.Transport); ok {
		other.Trust(own.TLSClientConfig)
	}
	return other
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Object is a JSON object.
type Object = map[string]any

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Problem is a google.rpc.Status with its field violations.
type Problem struct {
	Code       int    `json:"code"`
	Message    string `json:"message"`
	Violations []Violation
}

// Violation is one fault in one field.
type Violation struct {
	Field       string `json:"field"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

// Call makes one call. body may be nil, a []byte that is sent as it is, or anything that can be written as JSON.
func (c *Client) Call(method, path string, body any) (Answer, error) {
	return c.CallAs("application/json", method, path, body)
}

// CallAs is Call with a content type.
func (c *Client) CallAs(contentType, method, path string, body any) (Answer, error) {
	raw, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return Answer{}, fmt.Errorf("write the body of %s %s: %w", method, path, err)
		}
	}
	q, err := http.NewRequestWithContext(context.Background(), method, c.Base+path, bytes.NewReader(raw))
	if err != nil {
		return Answer{}, fmt.Errorf("make %s %s: %w", method, path, err)
	}
	q.Header.Set("Authorization", "Bearer "+c.Token)
	if raw != nil {
		q.Header.Set("Content-Type", contentType)
	}
	r, err := c.http.Do(q)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read the response to %s %s: %w", method, path, err)
	}
	return Answer{Status: r.StatusCode, Header: r.Header, Body: text}, nil
}

// taken finds the id of what is there already, in an error that says so.
var taken = regexp.MustCompile(`"message": ?"id \\"([^"\\]+)\\" is taken`)

// Do makes a call that must succeed, again as long as the broker is too slow to answer in time, and reads the answer. What a call that was
// too slow has created nevertheless is read.
func (c *Client) Do(t T, method, path string, body any) Object {
	t.Helper()
	tries := 0
	a, err := untilTaken(t, func() (Answer, error) { tries++; return c.Call(method, path, body) },
		func(x Answer, err error) bool { return err == nil && x.Status == http.StatusServiceUnavailable })
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if found := taken.FindSubmatch(a.Body); tries > 1 && a.Status == http.StatusConflict && method == http.MethodPost && found != nil {
		there := path + "/" + string(found[1])
		if path == "/v1/appliances" { // its credentials are shown only once
			return c.Do(t, http.MethodPost, there+":rotate", Object{})
		}
		return c.Do(t, http.MethodGet, there, nil)
	}
	if a.Status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a.Object(t)
}

// Refused makes one call that must fail, and reads the problem.
func (c *Client) Refused(t T, method, path string, body any) (int, Problem) {
	t.Helper()
	a, err := c.Call(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status == http.StatusOK {
		t.Fatalf("%s %s: was taken, want a refusal: %s", method, path, a.Body)
	}
	return a.Status, ReadProblem(t, a.Body)
}

// Object reads the answer as a JSON object.
func (a Answer) Object(t T) Object {
	t.Helper()
	var o Object
	if err := json.Unmarshal(a.Body, &o); err != nil {
		t.Fatalf("read the answer %q: %v", a.Body, err)
	}
	return o
}

// ReadProblem reads a google.rpc.Status.
func ReadProblem(t T, body []byte) Problem {
	t.Helper()
	var s struct {
		Problem
		Details []struct {
			FieldViolations []Violation `json:"fieldViolations"`
		} `json:"details"`
	}
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatalf("read the problem %q: %v", body, err)
	}
	for _, d := range s.Details {
		s.Violations = append(s.Violations, d.FieldViolations...)
	}
	return s.Problem
}

// Fields are the fields of the violations, sorted, each once.
func (p Problem) Fields() []string {
	var out []string
	for _, v := range p.Violations {
		out = append(out, v.Field)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// FinalStates is States once nothing is queued for the recipient, which costs less to find out; an error until then.
func (c *Client) FinalStates(t T, recipient string) (map[string]int, error) {
	t.Helper()
	list, _ := c.Do(t, http.MethodGet, "/v1/status", nil)["recipients"].([]any)
	for _, x := range list {
		r := x.(Object)
		if queued := fmt.Sprint(r["queuedEvents"]); r["recipientId"] == recipient && queued != "0" {
			return nil, fmt.Errorf("%s events are queued for %s", queued, recipient)
		}
	}
	return c.States(t, recipient), nil
}

// States counts a recipient's deliveries by state, over all pages. Each pair of event and replay counts once.
func (c *Client) States(t T, recipient string) map[string]int {
	t.Helper()
	states, seen, token := map[string]int{}, map[string]bool{}, ""
	for {
		q := url.Values{"recipient_id": {recipient}, "page_size": {strconv.Itoa(1000)}, "page_token": {token}}
		page := c.Do(t, http.MethodGet, "/v1/deliveries?"+q.Encode(), nil)
		list, _ := page["deliveries"].([]any)
		for _, x := range list {
			d := x.(Object)
			key := fmt.Sprint(d["eventId"], d["replayId"])
			if seen[key] {
				t.Errorf("delivery of %v to %s is listed twice", d["eventId"], recipient)
			}
			seen[key] = true
			states[fmt.Sprint(d["state"])]++
		}
		token, _ = page["nextPageToken"].(string)
		if token == "" {
			return states
		}
	}
}
