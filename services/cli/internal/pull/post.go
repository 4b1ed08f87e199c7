package pull

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

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

const (
	// postTimeout bounds a request to the receiver.
	postTimeout = 30 * time.Second
	// drained is how much of a response is read, so that its connection serves the next request.
	drained = 256 << 10
)

// poster posts deliveries to a URL.
type poster struct {
	to     string
	client *http.Client
}

// newPoster returns what posts deliveries to a URL; nil for none.
func newPoster(to string) (*poster, error) {
	if to == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if !strings.Contains(to, "://") {
		to = "http://" + to
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, exit.Usagef("--post-to %q is not a URL: use e.g. http://localhost:8080/hook", to)
	}
	return &poster{to: to, client: &http.Client{
		// Without compression no Accept-Encoding is added: a receiver gets the headers of the delivery.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true},
		Timeout:   postTimeout,
		// What Outbound treats as a failure is one here too.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// close closes idle connections.
func (p *poster) close() {
	if p != nil {
		p.client.CloseIdleConnections()
	}
}

// post posts a delivery. Any response but 2xx is an error.
func (p *poster) post(ctx context.Context, d *outboundv1.PulledDelivery) error {
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(d.GetBody()))
	if err != nil {
		return err
	}
	out.Header.Set("User-Agent", "") // none
	for name, value := range d.GetHeaders() {
		out.Header.Set(name, value)
	}
	resp, err := p.client.Do(out)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, which may have a password
		}
		return fmt.Errorf("the receiver did not respond: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, drained)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the receiver responded with %s", strings.TrimSpace(resp.Status))
	}
	return nil
}
