package recipients

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// signingSecretBytes is the length of a generated secret.
const signingSecretBytes = 32

// fillSigning sets how each secret signs: as stored, as its prefix says, or by HMAC.
func fillSigning(h *outboundv1.HttpRecipient, old *outboundv1.StoredRecipient) {
	stored := storedSigning(old)
	for _, p := range h.GetSigningSecrets() {
		before, known := stored[p.GetId()]
		switch {
		case p.GetKind() != outboundv1.SigningSecret_KIND_UNSPECIFIED:
		case p.GetSecret() == "" && known:
			p.Kind = kindOf(before)
		case credential.IsEd25519Secret(p.GetSecret()):
			p.Kind = outboundv1.SigningSecret_ED25519
		default:
			p.Kind = outboundv1.SigningSecret_HMAC_SHA256
		}
	}
}

// kindOf returns how a stored secret signs. Secrets of the first release have no kind.
func kindOf(p *outboundv1.SigningSecret) outboundv1.SigningSecret_Kind {
	if p.GetKind() == outboundv1.SigningSecret_ED25519 {
		return outboundv1.SigningSecret_ED25519
	}
	return outboundv1.SigningSecret_HMAC_SHA256
}

func storedSigning(old *outboundv1.StoredRecipient) map[string]*outboundv1.SigningSecret {
	out := map[string]*outboundv1.SigningSecret{}
	for _, p := range old.GetRecipient().GetHttp().GetSigningSecrets() {
		out[p.GetId()] = p
	}
	return out
}

func checkSigning(v *validation.Violations, h *outboundv1.HttpRecipient, f checkInput) {
	stored, seen := storedSigning(f.old), map[string]bool{}
	for i, p := range h.GetSigningSecrets() {
		field := fmt.Sprintf("http.signingSecrets[%d]", i)
		before, known := stored[p.GetId()]
		if p.GetSecret() != "" {
			_, err := publicKey(p)
			v.Check(field+".secret", err)
		} else if known && kindOf(before) != p.GetKind() {
			v.Add(field+".kind", validation.Invalid,
				"can't change for an existing secret: add another secret, and remove this one after the receiver has switched")
		}
		if id := p.GetId(); id != "" && seen[id] {
			v.Add(field+".id", validation.Duplicate, "is given twice")
		}
		seen[p.GetId()] = true
		until := p.GetExpireTime()
		if until == nil {
			continue
		}
		if !until.IsValid() {
			v.Add(field+".expireTime", validation.Invalid, "is not a time")
		} else if until.AsTime().Before(f.now) && !before.GetExpireTime().AsTime().Equal(until.AsTime()) {
			v.Add(field+".expireTime", validation.Invalid, "has passed: remove the secret instead")
		}
	}
}

// publicKey checks a secret that is given and returns what receivers verify with. It is empty for shared secrets.
func publicKey(p *outboundv1.SigningSecret) (string, error) {
	if p.GetKind() != outboundv1.SigningSecret_ED25519 {
		_, err := credential.ParseSigningSecret(p.GetSecret())
		return "", err
	}
	key, err := credential.ParseEd25519Secret(p.GetSecret())
	if err != nil {
		return "", err
	}
	return credential.FormatEd25519Public(key), nil
}

// keepFunc removes a secret from a recipient and seals it. It reports whether there is one, given or stored.
type keepFunc func(plain *string, path string) (set bool, err error)

// sealSigning sets the id, time and public key of each signing secret, generates those that are missing, and removes them with keep.
func (c sealedSecrets) sealSigning(r *outboundv1.Recipient, old *outboundv1.StoredRecipient, now time.Time, keep keepFunc) error {
	stored := storedSigning(old)
	for _, p := range r.GetHttp().GetSigningSecrets() {
		before, known := stored[p.GetId()]
		if !known {
			p.Id = newSecretID()
			if p.Secret == "" {
				p.Secret = newSigningSecret(p.GetKind())
				c.generated[p.Id] = p.Secret
			}
		}
		if p.Secret == "" {
			p.CreateTime, p.PublicKey = before.GetCreateTime(), before.GetPublicKey()
		} else {
			public, err := publicKey(p)
			if err != nil {
				return fmt.Errorf("read signing secret %s: it %w", p.GetId(), err)
			}
			p.CreateTime, p.PublicKey = timestamppb.New(now), public
		}
		if _, err := keep(&p.Secret, credential.SigningSecretPath(p.GetId())); err != nil {
			return err
		}
	}
	return nil
}

func newSecretID() string { return "ss-" + strings.ToLower(rand.Text()[:12]) }

func newSigningSecret(kind outboundv1.SigningSecret_Kind) string {
	b := make([]byte, signingSecretBytes)
	// crypto/rand never fails; it ends the program when the system has no randomness.
	_, _ = rand.Read(b)
	if kind == outboundv1.SigningSecret_ED25519 {
		return credential.FormatEd25519Secret(ed25519.NewKeyFromSeed(b))
	}
	return credential.FormatSigningSecret(b)
}
