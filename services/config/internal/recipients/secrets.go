package recipients

import (
	"maps"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// secretsCut is what became of the secrets of a recipient.
type secretsCut struct {
	// sealed are all that are to be stored, by field path.
	sealed map[string][]byte
	// made are the signing secrets that were made now, by id; they are shown once.
	made map[string]string
}

// cutSecrets takes the secrets out of a recipient and seals them. A secret that is absent stays as it was stored, so long as it is
// of the same kind; one of another kind is dropped.
func cutSecrets(sealer *secret.Sealer, r *outboundv1.Recipient, old *outboundv1.StoredRecipient, now time.Time) (secretsCut, error) {
	c := secretsCut{sealed: map[string][]byte{}, made: map[string]string{}}
	keep := func(plain *string, path string) (set bool, err error) {
		text := *plain
		*plain = ""
		if text == "" {
			sealed, ok := old.GetSealedSecrets()[path]
			if ok {
				c.sealed[path] = sealed
			}
			return ok, nil
		}
		c.sealed[path], err = sealer.Seal([]byte(text), recipient.SecretBinding(r.GetId(), path))
		return true, err
	}
	var err error
	switch k := r.GetHttp().GetAuth().GetKind().(type) {
	case *outboundv1.HttpAuth_Basic:
		k.Basic.PasswordSet, err = keep(&k.Basic.Password, recipient.SecretBasicPassword)
	case *outboundv1.HttpAuth_Bearer:
		k.Bearer.TokenSet, err = keep(&k.Bearer.Token, recipient.SecretBearerToken)
	case *outboundv1.HttpAuth_ApiKey:
		k.ApiKey.ValueSet, err = keep(&k.ApiKey.Value, recipient.SecretAPIKeyValue)
	case *outboundv1.HttpAuth_Oauth2:
		k.Oauth2.ClientSecretSet, err = keep(&k.Oauth2.ClientSecret, recipient.SecretOAuth2Client)
	case *outboundv1.HttpAuth_ClientCertificate:
		k.ClientCertificate.PrivateKeySet, err = keep(&k.ClientCertificate.PrivateKeyPem, recipient.SecretClientKey)
	}
	if err != nil {
		return c, err
	}
	return c, c.cutSigning(r, old, now, keep)
}

// show puts the signing secrets that were made now into an answer.
func (c secretsCut) show(r *outboundv1.Recipient) {
	for _, p := range r.GetHttp().GetSigningSecrets() {
		p.Secret = c.made[p.GetId()]
	}
}

// stored joins a recipient without secrets with what only the services need.
func (c secretsCut) stored(r *outboundv1.Recipient, old *outboundv1.StoredRecipient) *outboundv1.StoredRecipient {
	out := &outboundv1.StoredRecipient{}
	if old != nil {
		out, _ = proto.Clone(old).(*outboundv1.StoredRecipient)
	}
	out.Recipient, out.SealedSecrets = r, maps.Clone(c.sealed)
	out.Revision++
	return out
}
