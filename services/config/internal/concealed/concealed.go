// Package concealed checks and seals the secrets that stand within visible fields of a recipient: tokens in its URL, and the values of
// secret headers. A field shows credential.Concealed in their place, and one that is sent back so keeps them.
package concealed

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// Check adds what can't be kept of a recipient: a concealed part for which nothing is stored, or for another address.
func Check(v *validation.Violations, next *outboundv1.HttpRecipient, old *outboundv1.StoredRecipient) {
	before := old.GetRecipient().GetHttp()
	if strings.Contains(next.GetUrl(), credential.Concealed) && next.GetUrl() != credential.ConcealURL(before.GetUrl()) {
		v.Add("http.url", validation.Missing, fmt.Sprintf("contains %s in place of a secret, and is not the stored URL as it is shown: "+
			"write the whole URL with its secret, or leave it as it is shown", credential.Concealed))
	}
	from, to := validation.Origin(before.GetUrl()), validation.Origin(next.GetUrl())
	for name, value := range next.GetHeaders() {
		field := fmt.Sprintf("http.headers[%q]", name)
		stored := storedHeader(name, old)
		switch {
		case value == credential.Concealed && !isSecret(name, next):
			v.Add(field, validation.Missing, fmt.Sprintf("is %s, the placeholder of a secret: set its value, or list it in secretHeaders",
				credential.Concealed))
		case value == credential.Concealed && !stored:
			v.Add(field, validation.Missing, fmt.Sprintf("is %s, and no value is stored: set it", credential.Concealed))
		case kept(name, value, next, old) && from != to:
			v.Add(field, validation.Missing, validation.Moved{From: from, To: to}.Describe())
		}
	}
}

// Seal conceals the secrets of a recipient. It calls keep for each, with its path and its value, which is empty for one that stays sealed.
func Seal(next *outboundv1.HttpRecipient, old *outboundv1.StoredRecipient, keep func(plain, path string) error) error {
	before := old.GetRecipient().GetHttp()
	switch shown := credential.ConcealURL(next.GetUrl()); {
	case !strings.Contains(shown, credential.Concealed):
	case shown != next.GetUrl():
		if err := keep(next.GetUrl(), credential.SecretURL); err != nil {
			return err
		}
		next.Url = shown
	default:
		if err := keep(inTheClear(before.GetUrl()), credential.SecretURL); err != nil {
			return err
		}
	}
	for name, value := range next.GetHeaders() {
		if !isSecret(name, next) {
			continue
		}
		if kept(name, value, next, old) {
			value = inTheClear(headerOf(before, name))
		} else if value == "" {
			continue
		}
		if err := keep(value, credential.SecretHeaderPath(name)); err != nil {
			return err
		}
		next.Headers[name] = credential.Concealed
	}
	return nil
}

// inTheClear is what an earlier release stored unsealed; empty for what is concealed.
func inTheClear(stored string) string {
	if strings.Contains(stored, credential.Concealed) {
		return ""
	}
	return stored
}

func isSecret(name string, h *outboundv1.HttpRecipient) bool {
	return credential.SecretHeader(name, h.GetSecretHeaders()...)
}

// kept reports whether a header keeps its stored value: it is sent back as it was shown, or empty like any other secret.
func kept(name, value string, next *outboundv1.HttpRecipient, old *outboundv1.StoredRecipient) bool {
	return isSecret(name, next) && (value == credential.Concealed || value == "") && storedHeader(name, old)
}

// storedHeader reports whether a secret value is stored for a header, sealed or by an earlier release.
func storedHeader(name string, old *outboundv1.StoredRecipient) bool {
	if len(old.GetSealedSecrets()[credential.SecretHeaderPath(name)]) > 0 {
		return true
	}
	h := old.GetRecipient().GetHttp()
	return inTheClear(headerOf(h, name)) != "" && isSecret(name, h)
}

func headerOf(h *outboundv1.HttpRecipient, name string) string {
	for stored, value := range h.GetHeaders() {
		if strings.EqualFold(stored, name) {
			return value
		}
	}
	return ""
}
