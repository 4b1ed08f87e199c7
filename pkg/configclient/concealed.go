package configclient

import (
	"fmt"
	"maps"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Conceal replaces the secrets within the visible fields of an HTTP recipient by credential.Concealed: tokens in its URL, and the values of
// secret headers. Since they are sealed, these fields hold them in the clear only in requests and in what an earlier release stored.
func Conceal(h *outboundv1.HttpRecipient) {
	if h == nil {
		return
	}
	h.Url = credential.ConcealURL(h.GetUrl())
	h.Headers = maps.Clone(h.GetHeaders())
	for name, value := range h.GetHeaders() {
		if value != "" && credential.SecretHeader(name, h.GetSecretHeaders()...) {
			h.Headers[name] = credential.Concealed
		}
	}
}

// revealed opens the secrets within the visible fields of an HTTP recipient.
func revealed(t *recipient.HTTPTarget, sealed map[string][]byte, open func(path string) (string, error)) error {
	var err error
	if _, ok := sealed[credential.SecretURL]; ok {
		if t.URL, err = open(credential.SecretURL); err != nil {
			return err
		}
	}
	t.Headers = maps.Clone(t.Headers)
	for name, value := range t.Headers {
		path := credential.SecretHeaderPath(name)
		if value != credential.Concealed {
			continue
		}
		if _, ok := sealed[path]; !ok {
			return fmt.Errorf("the value of header %s is not stored: set it again", name)
		}
		if t.Headers[name], err = open(path); err != nil {
			return err
		}
	}
	return nil
}
