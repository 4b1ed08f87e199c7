package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxAnswer limits the size of a response, so that a wrong address cannot exhaust the memory.
const maxAnswer = 64 << 20

// client talks to the REST surface.
type client struct {
	base    string
	token   string
	version string
	http    *http.Client
}

func newClient(base, token, version string) *client {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}
	return &client{base: base, token: token, version: version, http: &http.Client{
		Transport: transport,
		Timeout:   time.Minute,
		// The token goes to the address that was given and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// violation is a fault in one field of a request.
type violation struct {
	Field       string `json:"field"`
	Reason      string `json:"reason"`
	Description string `json:"description"`
}

// apiError is a refusal of the server: a google.rpc.Status.
type apiError struct {
	code       codes.Code
	message    string
	violations []violation
}

// Error is the server's message, but for faults of fields, which are listed by themselves.
func (e *apiError) Error() string {
	switch n := len(e.violations); {
	case e.code != codes.InvalidArgument || n == 0:
		return e.message
	case n == 1:
		return "1 field is not valid:"
	default:
		return fmt.Sprintf("%d fields are not valid:", n)
	}
}

// call sends a message and reads the response into out. Either may be nil.
func (c *client) call(ctx context.Context, method, path string, in, out proto.Message) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = protojson.Marshal(in); err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
	}
	answer, err := c.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the response to %s %s: %w", method, path, err)
	}
	return nil
}

func (c *client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, usage("parse the address %q: %w", c.base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", "outbound-cli/"+c.version)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(c.base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the response to %s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp.StatusCode, answer)
	}
	return answer, nil
}

func unreachable(base string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("reach %s: %w: check that Outbound runs there, or set the address with --url, --data or OUTBOUND_URL", base, err)
}

// refusal reads a google.rpc.Status as far as the body is one.
func refusal(httpStatus int, body []byte) error {
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Details []struct {
			FieldViolations []violation `json:"fieldViolations"`
		} `json:"details"`
	}
	if err := json.Unmarshal(body, &status); err != nil || status.Message == "" {
		return &apiError{code: codes.Unknown, message: fmt.Sprintf("the server responded with %d %s", httpStatus, http.StatusText(httpStatus))}
	}
	e := &apiError{code: codes.Code(max(status.Code, 0)), message: status.Message} //nolint:gosec // a status code is small
	for _, d := range status.Details {
		e.violations = append(e.violations, d.FieldViolations...)
	}
	if e.code == codes.Unauthenticated {
		e.message += ": check --token-file, --data or OUTBOUND_TOKEN"
	}
	return e
}
