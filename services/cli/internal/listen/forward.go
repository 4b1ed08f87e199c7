package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// forwardTimeout is less than the timeout of the recipient, so that its answer still reaches Outbound.
const forwardTimeout = 12 * time.Second

// forward passes requests on to a URL.
type forward struct {
	to     string
	client *http.Client
}

// forwarder returns what passes requests on to a URL; nil for none.
func forwarder(to string) (*forward, error) {
	if to == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if !strings.Contains(to, "://") {
		to = "http://" + to
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, exit.Usagef("--forward-to %q is not a URL: use e.g. http://localhost:3000/hook", to)
	}
	return &forward{to: to, client: &http.Client{
		Timeout: forwardTimeout,
		// What Outbound treats as a failure is one here too.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// hopByHop are the headers of one connection (RFC 9110, section 7.6.1), which are not passed on.
func hopByHop() []string {
	return []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Accept-Encoding"}
}

// send passes a request on and returns the answer.
func (f *forward) send(in *http.Request, body []byte) (status int, answer []byte, err error) {
	// A receiver that debugs may be slow: the sender's end of the request does not end this one.
	out, err := http.NewRequestWithContext(context.WithoutCancel(in.Context()), http.MethodPost, f.to, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("pass on: %w", err)
	}
	out.Header = in.Header.Clone()
	for _, name := range hopByHop() {
		out.Header.Del(name)
	}
	resp, err := f.client.Do(out)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return 0, nil, fmt.Errorf("pass on: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, maxBody)); err != nil {
		return 0, nil, fmt.Errorf("read the response: %w", err)
	}
	return resp.StatusCode, answer, nil
}
