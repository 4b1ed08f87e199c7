package audits

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/secret"
)

// webhook posts entries. Any status of 2xx takes an entry; redirects are not followed.
type webhook struct {
	o      WebhookOptions
	client *http.Client
}

func newWebhook(o WebhookOptions, c *tls.Config) *webhook {
	return &webhook{o: o, client: &http.Client{
		Transport:     &http.Transport{TLSClientConfig: c, MaxIdleConnsPerHost: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send implements sink. `webhook-id` is the entry's hash, so that a repeat is recognized.
func (w *webhook) send(ctx context.Context, e audit.Stored) error {
	content, err := body(e)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.o.URL, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("post the entry: %w", err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "Outbound-Audit")
	q.Header.Set("Webhook-Id", e.Hash)
	if w.o.TokenFile != "" {
		token, err := secret.LoadToken(w.o.TokenFile)
		if err != nil {
			return fmt.Errorf("audit.webhook.tokenFile: %w", err)
		}
		q.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxResponse))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver responded %s", resp.Status)
	}
	return nil
}

// maxResponse is how much of an answer is read, in bytes.
const maxResponse = 64 << 10

// close implements sink.
func (w *webhook) close() { w.client.CloseIdleConnections() }
