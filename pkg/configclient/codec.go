package configclient

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// DecodeRecipient makes a recipient of what is stored, defaults filled in and secrets opened. Without a sealer the secrets are
// empty, which suffices for all that does not send. The retry of an email recipient comes from the settings and is
// filled in by Client.
func DecodeRecipient(s *outboundv1.StoredRecipient, sealer *secret.Sealer) (*recipient.Recipient, error) {
	p := s.GetRecipient()
	r := &recipient.Recipient{
		ID: p.GetId(), DisplayName: p.GetDisplayName(), Enabled: p.Enabled == nil || p.GetEnabled(), Deleting: p.GetDeleteTime() != nil,
		WhileDisabled: recipient.Skip, EventTypes: p.GetEventTypes(), Appliances: p.GetAppliances(),
		StartSequence: s.GetStartSequence(), Revision: s.GetRevision(), PurgedThrough: s.GetPurgedThrough(),
		BacklogThrough: s.GetBacklogThrough(), Filter: p.GetFilter(),
		Order: recipient.Unordered, MaxInFlight: recipient.DefaultMaxInFlight,
		Retry: recipient.Retry{Interval: recipient.DefaultEmailRetryInterval, Duration: recipient.DefaultRetryDuration},
	}
	if p.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD {
		r.WhileDisabled = recipient.Hold
	}
	if t := s.GetBacklogTime(); t != nil {
		r.BacklogTime = t.AsTime()
	}
	windows, err := DecodeMaintenance(p.GetMaintenanceWindows())
	if err != nil {
		return nil, fmt.Errorf("decode recipient %s: %w", p.GetId(), err)
	}
	r.Maintenance = maintenance.New(windows)
	for _, w := range s.GetDisabledWindows() {
		win := recipient.Window{Start: w.GetStartTime().AsTime()}
		if w.GetEndTime() != nil {
			win.End = w.GetEndTime().AsTime()
		}
		r.DisabledWindows = append(r.DisabledWindows, win)
	}
	switch {
	case p.GetEmail() != nil:
		e := p.GetEmail()
		r.Email = &recipient.EmailTarget{
			Addresses: e.GetAddresses(), RequireExternalKey: e.GetRequireExternalKey(),
			MailText:  recipient.MailText{Subject: e.GetSubject(), Body: e.GetBody(), HTMLBody: e.GetHtmlBody()},
			Overrides: decodeOverrides(e.GetOverrides()),
		}
		return r, nil
	case p.GetHttp() != nil:
		return r, decodeHTTP(r, s, sealer)
	default:
		return nil, fmt.Errorf("decode recipient %s: its channel is not supported by this version", p.GetId())
	}
}

func decodeOverrides(in map[string]*outboundv1.MailText) map[string]recipient.MailText {
	out := make(map[string]recipient.MailText, len(in))
	for eventType, t := range in {
		out[eventType] = recipient.MailText{Subject: t.GetSubject(), Body: t.GetBody(), HTMLBody: t.GetHtmlBody()}
	}
	return out
}

func decodeHTTP(r *recipient.Recipient, s *outboundv1.StoredRecipient, sealer *secret.Sealer) error {
	h := s.GetRecipient().GetHttp()
	if sealer == nil {
		h, _ = proto.Clone(h).(*outboundv1.HttpRecipient)
		Conceal(h)
	}
	r.Retry = decodeRetry(h)
	if h.GetMaxInFlight() > 0 {
		r.MaxInFlight = int(h.GetMaxInFlight())
	}
	if h.GetOrder() == outboundv1.HttpRecipient_Order_STRICT {
		r.Order = recipient.Strict
	}
	r.Contact = decodeContact(h.GetContact())
	if l := h.GetRateLimit(); l != nil {
		r.RateLimit = recipient.RateLimit{Limit: int(l.GetLimit()), Period: duration(l.GetPeriod(), time.Second)}
	}
	r.HTTP = &recipient.HTTPTarget{
		URL: h.GetUrl(), CAPEM: h.GetCaCertificatePem(), SendCustomFields: h.GetSendCustomFields(), Headers: h.GetHeaders(),
		SecretHeaders: h.GetSecretHeaders(),
		StopOnGone:    h.GetStopOnGone(), LegacyTLS: h.GetLegacyTls(), SmallClientHello: h.GetSmallClientHello(),
		Format: recipient.Form, Success: recipient.Status200, Timeout: duration(h.GetTimeout(), recipient.DefaultTimeout),
	}
	decodeBody(r.HTTP, h)
	if h.GetSuccess() == outboundv1.HttpRecipient_Success_ANY_2XX {
		r.HTTP.Success = recipient.Any2xx
	}
	return decodeSecrets(r, s, sealer)
}

func decodeContact(c *outboundv1.Contact) recipient.Contact {
	return recipient.Contact{
		Addresses: c.GetAddresses(), AlertAfter: duration(c.GetAlertAfter(), recipient.DefaultAlertAfter),
		ResendEvery: duration(c.GetResendEvery(), recipient.DefaultResendEvery),
	}
}

func decodeRetry(h *outboundv1.HttpRecipient) recipient.Retry {
	retry := recipient.Retry{
		Interval: duration(h.GetRetryInterval(), recipient.DefaultRetryInterval),
		Duration: duration(h.GetRetryDuration(), recipient.DefaultRetryDuration),
	}
	if b := h.GetBackoff(); b != nil {
		retry.Multiplier = b.GetMultiplier()
		if retry.Multiplier == 0 {
			retry.Multiplier = recipient.DefaultBackoffMultiplier
		}
		retry.Ceiling = duration(b.GetCeiling(), recipient.DefaultBackoffCeiling)
	}
	return retry
}

// decodeSecrets opens what is sealed. A secret that should be there and can't be opened is an error: sending without it
// would be sending something else. Without a sealer every secret is empty: what the recipient has is known, not what it is.
func decodeSecrets(r *recipient.Recipient, s *outboundv1.StoredRecipient, sealer *secret.Sealer) error {
	open := func(path string) (string, error) {
		sealed, ok := s.GetSealedSecrets()[path]
		if !ok || sealer == nil {
			return "", nil
		}
		plain, err := sealer.Open(sealed, credential.SecretBinding(r.ID, path))
		if err != nil {
			return "", fmt.Errorf("open the secret %s of recipient %s: %w (is the sealing key the one it was stored with?)", path, r.ID, err)
		}
		return string(plain), nil
	}
	h := s.GetRecipient().GetHttp()
	var err error
	if sealer != nil {
		if err := revealed(r.HTTP, s.GetSealedSecrets(), open); err != nil {
			return err
		}
	}
	if r.HTTP.Auth, err = decodeAuth(h.GetAuth(), open); err != nil {
		return err
	}
	if sealer == nil {
		r.HTTP.SigningSecrets = unopened(h.GetSigningSecrets())
		return nil
	}
	r.HTTP.SigningSecrets, err = decodeSigning(r.ID, h.GetSigningSecrets(), open)
	return err
}

func decodeAuth(a *outboundv1.HttpAuth, open func(path string) (string, error)) (recipient.Auth, error) {
	switch k := a.GetKind().(type) {
	case nil:
		return recipient.Auth{}, nil
	case *outboundv1.HttpAuth_Basic:
		password, err := open(credential.SecretBasicPassword)
		pair := base64.StdEncoding.EncodeToString([]byte(k.Basic.GetUsername() + ":" + password))
		return recipient.Auth{Header: "Authorization", Value: "Basic " + pair}, err
	case *outboundv1.HttpAuth_Bearer:
		token, err := open(credential.SecretBearerToken)
		return recipient.Auth{Header: "Authorization", Value: "Bearer " + token}, err
	case *outboundv1.HttpAuth_ApiKey:
		value, err := open(credential.SecretAPIKeyValue)
		return recipient.Auth{Header: k.ApiKey.GetHeader(), Value: value}, err
	case *outboundv1.HttpAuth_Oauth2:
		clientSecret, err := open(credential.SecretOAuth2Client)
		return recipient.Auth{OAuth2: &recipient.OAuth2{
			TokenURL: k.Oauth2.GetTokenUrl(), ClientID: k.Oauth2.GetClientId(), ClientSecret: clientSecret, Scopes: k.Oauth2.GetScopes(),
			Parameters: decodeParameters(k.Oauth2.GetParameters()),
		}}, err
	case *outboundv1.HttpAuth_ClientCertificate:
		key, err := open(credential.SecretClientKey)
		return recipient.Auth{ClientCertificatePEM: k.ClientCertificate.GetCertificatePem(), ClientKeyPEM: key}, err
	default:
		return recipient.Auth{}, fmt.Errorf("the authentication %T is not supported by this version", k)
	}
}

// decodeParameters are parameters of requests for tokens; nil if there are none.
func decodeParameters(in []*outboundv1.OAuth2Parameter) url.Values {
	var out url.Values
	for _, p := range in {
		if out == nil {
			out = url.Values{}
		}
		out.Add(p.GetName(), p.GetValue())
	}
	return out
}

// DecodeType makes a type of the catalogue of what is stored.
func DecodeType(t *outboundv1.EventType) event.Type {
	out := event.Type{ID: t.GetId(), DisplayName: t.GetDisplayName(), Product: t.GetProduct(), Email: t.GetEmail(), BuiltIn: t.GetBuiltIn(),
		Aliases: t.GetAliases()}
	for _, v := range t.GetVariables() {
		out.Variables = append(out.Variables, event.TypeVariable{Name: v.GetName(), Description: v.GetDescription(), Example: v.GetExample()})
	}
	return out
}

func duration(d *durationpb.Duration, unset time.Duration) time.Duration {
	if d == nil {
		return unset
	}
	return d.AsDuration()
}
