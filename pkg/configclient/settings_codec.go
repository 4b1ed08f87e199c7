package configclient

import (
	"fmt"
	"slices"
	"time"
	// Time zones must be the same wherever a service runs.
	_ "time/tzdata"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// DecodeSettings makes settings of what the config service sent. Without a sealer the relay's password is left out.
func DecodeSettings(p *outboundv1.WatchSettingsResponse, sealer *secret.Sealer) (*settings.Settings, error) {
	s := &settings.Settings{
		CustomFieldNames: map[string]string{}, Types: map[string]event.Type{}, TypeAliases: map[string]string{},
		Appliances: map[string]settings.ApplianceAuth{},
		Tokens:     map[[32]byte]settings.Token{},
	}
	for _, f := range p.GetCustomFields() {
		s.CustomFields = append(s.CustomFields, f.GetCodeName())
		s.CustomFieldNames[f.GetCodeName()] = f.GetDisplayName()
	}
	slices.Sort(s.CustomFields)
	for _, t := range p.GetEventTypes() {
		s.Types[t.GetId()] = DecodeType(t)
		for _, alias := range t.GetAliases() {
			s.TypeAliases[alias] = t.GetId()
		}
	}
	for _, a := range p.GetAppliances() {
		auth := settings.ApplianceAuth{DisplayName: a.GetAppliance().GetDisplayName(), PasswordBcrypt: a.GetPasswordBcrypt(),
			SilentAfter:        a.GetAppliance().GetSilentAfter().AsDuration(),
			MaxEventsPerSecond: int(a.GetAppliance().GetMaxEventsPerSecond()), MaxBytesPerSecond: int(a.GetAppliance().GetMaxBytesPerSecond())}
		if a.GetAppliance().GetCreateTime() != nil {
			auth.Created = a.GetAppliance().GetCreateTime().AsTime()
		}
		if copy(auth.TokenSHA256[:], a.GetTokenSha256()) != len(auth.TokenSHA256) {
			return nil, fmt.Errorf("decode appliance %s: the hash of its token is truncated", a.GetAppliance().GetId())
		}
		if end := a.GetAppliance().GetTokenExpireTime(); end != nil {
			auth.TokenExpire = end.AsTime()
		}
		if end := a.GetPreviousTokenExpireTime(); end != nil &&
			copy(auth.PreviousTokenSHA256[:], a.GetPreviousTokenSha256()) == len(auth.PreviousTokenSHA256) {
			auth.PreviousTokenExpire = end.AsTime()
		}
		s.Appliances[a.GetAppliance().GetId()] = auth
	}
	for _, t := range p.GetTokens() {
		var sum [32]byte
		if copy(sum[:], t.GetSecretSha256()) != len(sum) {
			return nil, fmt.Errorf("decode token %s: its hash is truncated", t.GetToken().GetId())
		}
		s.Tokens[sum] = DecodeToken(t.GetToken())
	}
	email, err := decodeEmail(p.GetEmail())
	if err != nil {
		return nil, err
	}
	s.Email = email
	s.SMTP, err = decodeSMTP(p, sealer)
	return s, err
}

// DecodeToken makes a token of the API's.
func DecodeToken(t *outboundv1.Token) settings.Token {
	out := settings.Token{
		ID: t.GetId(), Name: t.GetDisplayName(), Role: settings.Viewer, Recipient: t.GetRecipientId(), RecipientStart: t.GetRecipientStart(),
	}
	if t.GetRole() != outboundv1.Role_ROLE_UNSPECIFIED {
		out.Role = settings.Role(t.GetRole().String())
	}
	if t.GetExpireTime() != nil {
		out.Expire = t.GetExpireTime().AsTime()
	}
	return out
}

func decodeEmail(p *outboundv1.EmailSettings) (settings.Email, error) {
	zone, err := time.LoadLocation(p.GetTimeZone())
	if err != nil {
		return settings.Email{}, fmt.Errorf("read the time zone of emails: %w", err)
	}
	return settings.Email{
		RetryInterval: duration(p.GetRetryInterval(), recipient.DefaultEmailRetryInterval),
		RetryDuration: duration(p.GetRetryDuration(), recipient.DefaultRetryDuration),
		Location:      zone,
	}, nil
}

func decodeSMTP(p *outboundv1.WatchSettingsResponse, sealer *secret.Sealer) (settings.SMTP, error) {
	in := p.GetSmtp()
	out := settings.SMTP{
		Host: in.GetHost(), Port: int(in.GetPort()), Encryption: settings.STARTTLS, Auth: settings.NoAuth, Username: in.GetUsername(),
		FromAddress: in.GetFromAddress(), FromName: in.GetFromName(), CAPEM: in.GetCaCertificatePem(), AdminContacts: in.GetAdminContacts(),
		Hello: in.GetHelloName(), MaxConnections: settings.DefaultMaxConnections, Etag: in.GetEtag(),
		LegacyTLS: in.GetLegacyTls(), SmallClientHello: in.GetSmallClientHello(),
	}
	if in.GetMaxConnections() > 0 {
		out.MaxConnections = int(in.GetMaxConnections())
	}
	if l := in.GetRateLimit(); l != nil {
		out.RateLimit = recipient.RateLimit{Limit: int(l.GetLimit()), Period: duration(l.GetPeriod(), time.Second)}
	}
	if n := in.GetDailyNotice(); n.GetEnabled() {
		out.DailyNotice = settings.DefaultNoticeTime
		if n.GetTime() != "" {
			out.DailyNotice = n.GetTime()
		}
	}
	if o := in.GetOauth2(); o != nil {
		out.OAuth2 = &settings.RelayOAuth2{TokenURL: o.GetTokenUrl(), ClientID: o.GetClientId(), Scopes: o.GetScopes(),
			Parameters: decodeParameters(o.GetParameters())}
	}
	if in.GetEncryption() != outboundv1.SmtpSettings_Encryption_ENCRYPTION_UNSPECIFIED {
		out.Encryption = settings.Encryption(in.GetEncryption().String())
	}
	if in.GetAuth() != outboundv1.SmtpSettings_Auth_AUTH_UNSPECIFIED {
		out.Auth = settings.AuthMethod(in.GetAuth().String())
	}
	return out, openRelaySecrets(&out, p, sealer)
}

// openRelaySecrets opens what is sealed of the relay's settings, if there is a sealer.
func openRelaySecrets(out *settings.SMTP, p *outboundv1.WatchSettingsResponse, sealer *secret.Sealer) error {
	if sealer == nil {
		return nil
	}
	sealed := p.GetSealedSmtpSecrets()
	secrets := []struct {
		sealed []byte
		path   string
		to     *string
	}{{p.GetSealedSmtpPassword(), credential.SecretSMTPPassword, &out.Password}}
	if o := out.OAuth2; o != nil {
		for path, to := range map[string]*string{credential.SecretRelayClient: &o.ClientSecret, credential.SecretRelayRefresh: &o.RefreshToken} {
			secrets = append(secrets, struct {
				sealed []byte
				path   string
				to     *string
			}{sealed[path], path, to})
		}
	}
	for _, x := range secrets {
		if len(x.sealed) == 0 {
			continue
		}
		plain, err := sealer.Open(x.sealed, x.path)
		if err != nil {
			return fmt.Errorf("open the relay's secret %s: %w (is the sealing key the one it was stored with?)", x.path, err)
		}
		*x.to = string(plain)
	}
	return nil
}
