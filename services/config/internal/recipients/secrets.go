package recipients

import (
	"maps"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/concealed"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// visibleCopy returns a recipient as it is shown, with its concealed parts, so that a change that does not name them keeps them.
func visibleCopy(r *outboundv1.Recipient) *outboundv1.Recipient {
	out, _ := proto.Clone(r).(*outboundv1.Recipient)
	configclient.Conceal(out.GetHttp())
	return out
}

// sealedSecrets are the secrets of a recipient after a change.
type sealedSecrets struct {
	// sealed are the secrets to store, by field path.
	sealed map[string][]byte
	// generated are the signing secrets that were generated now, by id. They are shown once.
	generated map[string]string
}

// sealSecrets removes the secrets from a recipient and seals them. An absent secret stays as it was stored if it is of the same kind;
// secrets of other kinds are dropped.
func sealSecrets(sealer *secret.Sealer, r *outboundv1.Recipient, old *outboundv1.StoredRecipient, now time.Time) (sealedSecrets, error) {
	c := sealedSecrets{sealed: map[string][]byte{}, generated: map[string]string{}}
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
		c.sealed[path], err = sealer.Seal([]byte(text), credential.SecretBinding(r.GetId(), path))
		return true, err
	}
	var err error
	switch k := r.GetHttp().GetAuth().GetKind().(type) {
	case *outboundv1.HttpAuth_Basic:
		k.Basic.PasswordSet, err = keep(&k.Basic.Password, credential.SecretBasicPassword)
	case *outboundv1.HttpAuth_Bearer:
		k.Bearer.TokenSet, err = keep(&k.Bearer.Token, credential.SecretBearerToken)
	case *outboundv1.HttpAuth_ApiKey:
		k.ApiKey.ValueSet, err = keep(&k.ApiKey.Value, credential.SecretAPIKeyValue)
	case *outboundv1.HttpAuth_Oauth2:
		k.Oauth2.ClientSecretSet, err = keep(&k.Oauth2.ClientSecret, credential.SecretOAuth2Client)
	case *outboundv1.HttpAuth_ClientCertificate:
		k.ClientCertificate.PrivateKeySet, err = keep(&k.ClientCertificate.PrivateKeyPem, credential.SecretClientKey)
	}
	if err != nil {
		return c, err
	}
	if r.GetHttp() != nil {
		err = concealed.Seal(r.GetHttp(), old, func(plain, path string) error {
			_, err := keep(&plain, path)
			return err
		})
	}
	if err != nil {
		return c, err
	}
	return c, c.sealSigning(r, old, now, keep)
}

// show sets the generated signing secrets in an answer.
func (c sealedSecrets) show(r *outboundv1.Recipient) {
	for _, p := range r.GetHttp().GetSigningSecrets() {
		p.Secret = c.generated[p.GetId()]
	}
}

// stored returns a recipient without plain secrets, with what only the services need.
func (c sealedSecrets) stored(r *outboundv1.Recipient, old *outboundv1.StoredRecipient) *outboundv1.StoredRecipient {
	out := &outboundv1.StoredRecipient{}
	if old != nil {
		out, _ = proto.Clone(old).(*outboundv1.StoredRecipient)
	}
	out.Recipient, out.SealedSecrets = r, maps.Clone(c.sealed)
	out.Revision++
	return out
}

// checkMoved adds the stored secrets that a change would send to another host, scheme or port. A roll back is exempt: it restores secrets
// with the address that they were stored for, and so compares with that state.
func checkMoved(v *validation.Violations, h *outboundv1.HttpRecipient, f checkInput) {
	before := f.old.GetRecipient().GetHttp()
	if before == nil {
		return
	}
	for _, x := range []struct {
		was, is, field string
		to             proto.Message
	}{
		// A token is sent to the URL, and what it is obtained with is worth as much.
		{before.GetUrl(), h.GetUrl(), "http", h},
		{before.GetAuth().GetOauth2().GetTokenUrl(), h.GetAuth().GetOauth2().GetTokenUrl(), "http.auth.oauth2", h.GetAuth().GetOauth2()},
	} {
		from, to := validation.Origin(x.was), validation.Origin(x.is)
		if x.was == "" || x.is == "" || from == to {
			continue
		}
		v.SaidAgain(x.to.ProtoReflect(), x.field, validation.Moved{From: from, To: to, Stored: func(path string) bool {
			return len(f.old.GetSealedSecrets()[sealedPath(path)]) > 0
		}})
	}
}

// sealedPath is where the secret of a field is sealed.
func sealedPath(field string) string {
	if rest, ok := strings.CutPrefix(field, "http.signingSecrets["); ok {
		return credential.SigningSecretPath(strings.TrimSuffix(rest, "].secret"))
	}
	return field
}
