package httpsender

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
)

// issuedKept is how many access tokens are remembered, of which one is in use.
const issuedKept = 4

// answerMask hides the secrets of one revision of a recipient in what its receiver and its token server answer.
type answerMask struct {
	stored []string

	mu     sync.RWMutex
	issued []string
	masker *secret.Masker
}

func newAnswerMask(h *recipient.HTTPTarget) *answerMask {
	m := &answerMask{stored: secretsOf(h)}
	m.masker = secret.NewMasker(m.stored...)
	return m
}

// add takes in an access token, which is as secret as what it was obtained with.
func (m *answerMask) add(token string) {
	m.mu.RLock()
	known := slices.Contains(m.issued, token)
	m.mu.RUnlock()
	if known {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.issued = append(m.issued, token)
	if n := len(m.issued) - issuedKept; n > 0 {
		m.issued = m.issued[n:]
	}
	m.masker = secret.NewMasker(append(slices.Clone(m.stored), m.issued...)...)
}

func (m *answerMask) now() *secret.Masker {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.masker
}

// outcome masks what an attempt saw. Everything that leaves the sender comes of it: the record, the log line, alerts and answers to tests.
func (m *answerMask) outcome(o *delivery.Outcome) {
	masker := m.now()
	o.Detail, o.Remark = masker.Mask(o.Detail), masker.Mask(o.Remark)
	if len(o.Excerpt) == delivery.MaxExcerpt {
		o.Excerpt = masker.MaskCut(o.Excerpt)
	} else if len(o.Excerpt) > 0 {
		o.Excerpt = []byte(masker.Mask(string(o.Excerpt)))
	}
	o.Excerpt = o.Excerpt[:min(len(o.Excerpt), delivery.MaxExcerpt)]
}

// report masks a diagnosis.
func (m *answerMask) report(r *egress.Report) {
	masker := m.now()
	for i := range r.Steps {
		r.Steps[i].Detail, r.Steps[i].Remedy = masker.Mask(r.Steps[i].Detail), masker.Mask(r.Steps[i].Remedy)
	}
}

// secretsOf are the secrets of a recipient, and what requests carry that is made of them.
func secretsOf(h *recipient.HTTPTarget) []string {
	out := credential.URLSecrets(h.URL)
	add := func(value string) {
		out = append(out, value)
		// The scheme of a header is none of it: Bearer, Basic, Token.
		scheme, rest, ok := strings.Cut(value, " ")
		if !ok {
			return
		}
		out = append(out, rest)
		if pair, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
			_, password, _ := strings.Cut(string(pair), ":")
			out = append(out, string(pair), password)
		}
	}
	add(h.Auth.Value)
	for name, value := range h.Headers {
		if credential.SecretHeader(name, h.SecretHeaders...) {
			add(value)
		}
	}
	if o := h.Auth.OAuth2; o != nil {
		out = append(out, o.ClientSecret, base64.StdEncoding.EncodeToString([]byte(o.ClientID+":"+o.ClientSecret)),
			base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(o.ClientID)+":"+url.QueryEscape(o.ClientSecret))))
	}
	for _, line := range strings.Split(h.Auth.ClientKeyPEM, "\n") {
		if line = strings.TrimSpace(line); len(line) >= len("-----BEGIN") && !strings.HasPrefix(line, "-----") {
			out = append(out, line)
		}
	}
	for _, s := range h.SigningSecrets {
		key := s.Key
		if s.Ed25519 {
			key = key[:min(len(key), ed25519Seed)] // the other half is public
		}
		out = append(out, string(key))
	}
	return out
}

// ed25519Seed is how long the private half of an ed25519 key is, in bytes.
const ed25519Seed = 32
