package configclient

import (
	"fmt"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// decodeSigning opens the signing secrets of a recipient, those that have expired too: when a secret stops signing is decided at
// each attempt.
func decodeSigning(id string, secrets []*outboundv1.SigningSecret,
	open func(path string) (string, error)) ([]recipient.SigningSecret, error) {
	out := make([]recipient.SigningSecret, 0, len(secrets))
	for _, p := range secrets {
		text, err := open(credential.SigningSecretPath(p.GetId()))
		if err != nil {
			return nil, err
		}
		s := signing(p)
		if s.Key, err = parseSigning(text, s.Ed25519); err != nil {
			return nil, fmt.Errorf("read signing secret %s of recipient %s: it %w", p.GetId(), id, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// unopened are the signing secrets without their keys.
func unopened(secrets []*outboundv1.SigningSecret) []recipient.SigningSecret {
	out := make([]recipient.SigningSecret, len(secrets))
	for i, p := range secrets {
		out[i] = signing(p)
	}
	return out
}

func signing(p *outboundv1.SigningSecret) recipient.SigningSecret {
	s := recipient.SigningSecret{ID: p.GetId(), Ed25519: p.GetKind() == outboundv1.SigningSecret_ED25519}
	if p.GetExpireTime() != nil {
		s.Expire = p.GetExpireTime().AsTime()
	}
	return s
}

func parseSigning(text string, pair bool) ([]byte, error) {
	if pair {
		return credential.ParseEd25519Secret(text)
	}
	return credential.ParseSigningSecret(text)
}
