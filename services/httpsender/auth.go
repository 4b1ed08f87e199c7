package httpsender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/trust"
)

const headerAuthorization = "Authorization"

// open makes the ways out of a client: to the receiver, and to the token server if the recipient has one. Its error is errAuth.
func (c *client) open(h *recipient.HTTPTarget, policy recipient.URLPolicy, o egress.TransportOptions) error {
	var err error
	if o.Certificate, err = certificate(h, c.URL.Scheme); err != nil {
		return err
	}
	if h.Auth.OAuth2 != nil {
		if c.tokens, err = newTokens(h.Auth.OAuth2, policy, tokenRoots(o)); err != nil {
			return err
		}
	}
	c.options, c.transport = o, egress.NewTransport(o)
	return nil
}

// certificate is the client certificate of a recipient, nil if it has none. It is never left out when it can't be read, nor where
// it can't be presented.
func certificate(h *recipient.HTTPTarget, scheme string) (*tls.Certificate, error) {
	if h.Auth.ClientCertificatePEM == "" {
		return nil, nil
	}
	if scheme != "https" {
		return nil, fmt.Errorf("%w: a client certificate needs an https URL", errAuth)
	}
	pair, err := credential.ClientCertificate(h.Auth.ClientCertificatePEM, h.Auth.ClientKeyPEM)
	if err != nil {
		return nil, fmt.Errorf("%w: the key of the client certificate %w", errAuth, err)
	}
	if pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("%w: the client certificate expired on %s", errAuth, pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return &pair, nil
}

// tokenRoots verify a token server: the system's roots, for one in public, and the recipient's own beside them. The concessions are for
// the receiver alone.
func tokenRoots(o egress.TransportOptions) egress.TransportOptions {
	o.Anchors, o.Compat = o.Anchors.WithSystem(), trust.Compat{}
	return o
}

// authorized posts with the recipient's token, if it has OAuth 2.0: without a token nothing is sent. A token that the receiver
// refuses with 401 is replaced once. The answer is nil when the outcome says why there is none.
func (c *client) authorized(parent, ctx context.Context, header http.Header, body payload, o *delivery.Outcome) *http.Response {
	if c.tokens == nil {
		return c.try(parent, ctx, header, body, o)
	}
	token, err := c.tokens.Get(ctx)
	if err != nil {
		tokenFault(parent, err, "", o)
		return nil
	}
	c.mask.add(token)
	header.Set(headerAuthorization, "Bearer "+token)
	resp := c.try(parent, ctx, header, body, o)
	if resp == nil || resp.StatusCode != http.StatusUnauthorized {
		return resp
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDiscard) // for the connection's sake alone
	_ = resp.Body.Close()
	c.tokens.Forget(token)
	if token, err = c.tokens.Get(ctx); err != nil {
		tokenFault(parent, err, "the receiver refused the token (HTTP 401), and no new token could be obtained; ", o)
		return nil
	}
	c.mask.add(token)
	// What was sent may still be read by the transport.
	header = header.Clone()
	header.Set(headerAuthorization, "Bearer "+token)
	if resp = c.try(parent, ctx, header, body, o); resp != nil && resp.StatusCode == http.StatusUnauthorized {
		o.Detail = "with a new OAuth 2.0 token as well"
	}
	return resp
}

func tokenFault(parent context.Context, err error, before string, o *delivery.Outcome) {
	o.Fault, o.Detail = delivery.FaultAuth, before+err.Error()
	if errors.Is(parent.Err(), context.Canceled) || errors.Is(err, context.Canceled) {
		o.Fault, o.Detail = delivery.FaultShutdown, "the sender stopped before the response arrived"
	}
}
