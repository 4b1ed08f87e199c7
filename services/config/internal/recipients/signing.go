package recipients

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
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

const (
	// defaultOverlap is how long an old signing secret signs on beside its successor.
	defaultOverlap = 24 * time.Hour
	// maxSigningSecrets is how many signing secrets a recipient can have: Recipient.http.signing_secrets.
	maxSigningSecrets = 4
)

// RotateSigningSecret implements outboundv1.RecipientServiceServer. It is an update of the signing secrets alone, which is made again if
// somebody else was faster, unless the caller has named an etag.
func (s *Recipients) RotateSigningSecret(
	ctx context.Context, q *outboundv1.RotateSigningSecretRequest,
) (*outboundv1.Recipient, error) {
	for {
		old, err := s.active(ctx, q.GetId())
		if err != nil {
			return nil, err
		}
		if q.GetEtag() != "" && q.GetEtag() != old.Etag() {
			return nil, rpc.Aborted(kindRecipient, q.GetId())
		}
		secrets, err := rotated(old.GetRecipient(), q, s.now())
		if err != nil {
			return nil, err
		}
		next := &outboundv1.Recipient{Id: q.GetId(), Etag: old.Etag(),
			Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{SigningSecrets: secrets}}}
		saved, err := s.UpdateRecipient(ctx, &outboundv1.UpdateRecipientRequest{Recipient: next,
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"http.signing_secrets"}}})
		if status.Code(err) != codes.Aborted || q.GetEtag() != "" || ctx.Err() != nil {
			return saved, err
		}
		store.Backoff(ctx)
	}
}

// rotated returns the signing secrets of a recipient after a rotation: those that it does not replace, those that it does with their end,
// and the new one, last. Those that have ended are left out.
func rotated(r *outboundv1.Recipient, q *outboundv1.RotateSigningSecretRequest, now time.Time) ([]*outboundv1.SigningSecret, error) {
	var signing []*outboundv1.SigningSecret
	for _, p := range r.GetHttp().GetSigningSecrets() {
		if p.GetExpireTime() == nil || p.GetExpireTime().AsTime().After(now) {
			signing = append(signing, p)
		}
	}
	if len(signing) == 0 {
		return nil, rpc.FailedPrecondition("NOT_SIGNED",
			"recipient "+r.GetId()+" has no signing secret to replace: add one to http.signingSecrets")
	}
	kind, all, err := rotatedKind(signing, q.GetKind())
	if err != nil {
		return nil, err
	}
	overlap := defaultOverlap
	if q.GetOverlap() != nil {
		overlap = q.GetOverlap().AsDuration()
	}
	end := now.Add(overlap)
	var out []*outboundv1.SigningSecret
	for _, p := range signing {
		kept := &outboundv1.SigningSecret{Id: p.GetId(), Kind: kindOf(p), ExpireTime: p.GetExpireTime()}
		if all || kindOf(p) == kind {
			if overlap == 0 {
				continue
			}
			if p.GetExpireTime() == nil || end.Before(p.GetExpireTime().AsTime()) {
				kept.ExpireTime = timestamppb.New(end)
			}
		}
		out = append(out, kept)
	}
	if len(out) == maxSigningSecrets {
		return nil, rpc.FailedPrecondition("TOO_MANY_SECRETS", "recipient "+r.GetId()+
			" has 4 signing secrets already: wait until one has ended, remove one, or rotate without an overlap")
	}
	return append(out, &outboundv1.SigningSecret{Kind: kind, Secret: q.GetSecret()}), nil
}

// rotatedKind returns the kind of the new secret: the one that is asked for, or that of the secrets. all reports that it replaces secrets
// of the other kind, because there are none of its own.
func rotatedKind(
	signing []*outboundv1.SigningSecret, asked outboundv1.SigningSecret_Kind,
) (kind outboundv1.SigningSecret_Kind, all bool, err error) {
	has := map[outboundv1.SigningSecret_Kind]bool{}
	for _, p := range signing {
		has[kindOf(p)] = true
	}
	switch {
	case asked != outboundv1.SigningSecret_KIND_UNSPECIFIED:
		return asked, !has[asked], nil
	case len(has) > 1:
		var v validation.Violations
		v.Add("kind", validation.Invalid, "is required, because the recipient has secrets of both kinds: HMAC_SHA256 or ED25519")
		return 0, false, v.Err()
	default:
		return kindOf(signing[0]), false, nil
	}
}
