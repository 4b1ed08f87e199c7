package configclient_test

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// script is a config service that says what the test tells it to, and breaks off when told.
type script struct {
	outboundv1.UnimplementedRecipientServiceServer
	outboundv1.UnimplementedSettingsServiceServer

	mu       sync.Mutex
	snapshot []*outboundv1.WatchRecipientsResponse
	settings *outboundv1.WatchSettingsResponse
	cut      chan struct{}
	streams  atomic.Int32

	changes chan *outboundv1.WatchRecipientsResponse
	news    chan *outboundv1.WatchSettingsResponse
}

func (s *script) state() ([]*outboundv1.WatchRecipientsResponse, *outboundv1.WatchSettingsResponse, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot, s.settings, s.cut
}

// breakOff ends all streams and changes what the next ones begin with.
func (s *script) breakOff(snapshot ...*outboundv1.WatchRecipientsResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot = snapshot
	close(s.cut)
	s.cut = make(chan struct{})
}

func (s *script) WatchRecipients(_ *outboundv1.WatchRecipientsRequest, stream outboundv1.RecipientService_WatchRecipientsServer) error {
	snapshot, _, cut := s.state()
	s.streams.Add(1)
	for _, m := range append(snapshot, synced()) {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-cut:
			return status.Error(codes.Unavailable, "cut by the test")
		case m := <-s.changes:
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

func (s *script) WatchSettings(_ *outboundv1.WatchSettingsRequest, stream outboundv1.SettingsService_WatchSettingsServer) error {
	_, settings, cut := s.state()
	if err := stream.Send(settings); err != nil {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-cut:
			return status.Error(codes.Unavailable, "cut by the test")
		case m := <-s.news:
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

func stored(id, name string) *outboundv1.StoredRecipient {
	return &outboundv1.StoredRecipient{
		Recipient: &outboundv1.Recipient{
			Id: id, DisplayName: name, EventTypes: []string{"support_conference_end"},
			Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: "https://r.example.com"}},
		},
		StartSequence: 5, Revision: 1,
	}
}

func is(s *outboundv1.StoredRecipient) *outboundv1.WatchRecipientsResponse {
	return &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: s}}
}

func removed(id string) *outboundv1.WatchRecipientsResponse {
	return &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Removed{Removed: id}}
}

func synced() *outboundv1.WatchRecipientsResponse {
	return &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Synced{Synced: &emptypb.Empty{}}}
}

// serve answers calls with a script on a port of its own.
func serve(t *testing.T, s *script) *grpc.ClientConn {
	t.Helper()
	if s.settings == nil {
		s.settings = &outboundv1.WatchSettingsResponse{}
	}
	s.cut = make(chan struct{})
	s.changes, s.news = make(chan *outboundv1.WatchRecipientsResponse), make(chan *outboundv1.WatchSettingsResponse)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	outboundv1.RegisterRecipientServiceServer(server, s)
	outboundv1.RegisterSettingsServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); server.Stop(); <-done })
	return conn
}

// run starts a client, with a signal at each change.
func run(t *testing.T, conn *grpc.ClientConn, o configclient.Options) (*configclient.Client, func(what string, fact func() bool)) {
	t.Helper()
	c := configclient.New(conn, o)
	changed := make(chan struct{}, 1)
	var inside atomic.Int32
	c.OnChange(func() {
		if inside.Add(1) > 1 {
			t.Error("two calls of OnChange overlap")
		}
		select {
		case changed <- struct{}{}:
		default:
		}
		inside.Add(-1)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run ended with %v", err)
		}
	})
	await := func(what string, fact func() bool) {
		t.Helper()
		for !fact() {
			waittest.Receive(t, "a change by which "+what, changed)
		}
	}
	waittest.Receive(t, "the client to be ready", c.Ready())
	return c, await
}

func TestClientFollowsChanges(t *testing.T) {
	s := &script{snapshot: []*outboundv1.WatchRecipientsResponse{is(stored("b", "B")), is(stored("a", "A"))}}
	c, await := run(t, serve(t, s), configclient.Options{})
	if all := c.Recipients(); len(all) != 2 || all[0].ID != "a" || all[1].ID != "b" {
		t.Fatalf("knows %v", all)
	}
	r, _ := c.Recipient("a")
	if r.Retry.Interval != recipient.DefaultRetryInterval || r.Retry.Duration != recipient.DefaultRetryDuration ||
		r.HTTP.Timeout != recipient.DefaultTimeout ||
		r.MaxInFlight != recipient.DefaultMaxInFlight || r.HTTP.Format != recipient.Form || r.HTTP.Success != recipient.Status200 ||
		r.Order != recipient.Unordered || r.WhileDisabled != recipient.Skip || !r.Enabled || r.StartSequence != 5 {
		t.Errorf("without defaults it is %+v %+v", r, r.HTTP)
	}
	next := stored("a", "A2")
	next.Recipient.Enabled = proto.Bool(false)
	s.changes <- is(next)
	await("the change is known", func() bool { r, _ := c.Recipient("a"); return r.DisplayName == "A2" && !r.Enabled })
	if r.DisplayName != "A" {
		t.Error("a recipient that was handed out has changed")
	}
	s.changes <- removed("b")
	await("the removal is known", func() bool { _, ok := c.Recipient("b"); return !ok })
}

func TestWhatIsKnownStaysUntilTheNextSnapshotSaysOtherwise(t *testing.T) {
	s := &script{snapshot: []*outboundv1.WatchRecipientsResponse{is(stored("stays", "S")), is(stored("goes", "G"))}}
	c, await := run(t, serve(t, s), configclient.Options{})
	s.breakOff(is(stored("stays", "S")), is(stored("comes", "C")))
	if _, ok := c.Recipient("stays"); !ok {
		t.Error("what was known is forgotten while the service is away")
	}
	await("the new snapshot holds", func() bool {
		_, stays := c.Recipient("stays")
		_, comes := c.Recipient("comes")
		_, goes := c.Recipient("goes")
		return stays && comes && !goes
	})
	if n := s.streams.Load(); n < 2 {
		t.Errorf("watched %d times", n)
	}
}

func TestSecretsAreOpened(t *testing.T) {
	sealer, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	seal := func(s *outboundv1.StoredRecipient, path, plain string) *outboundv1.StoredRecipient {
		t.Helper()
		sealed, err := sealer.Seal([]byte(plain), credential.SecretBinding(s.GetRecipient().GetId(), path))
		if err != nil {
			t.Fatal(err)
		}
		if s.SealedSecrets == nil {
			s.SealedSecrets = map[string][]byte{}
		}
		s.SealedSecrets[path] = sealed
		return s
	}
	basic, bearer, key := stored("basic", "1"), stored("bearer", "2"), stored("key", "3")
	basic.Recipient.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Basic{Basic: &outboundv1.BasicAuth{Username: "Aladdin"}}}
	bearer.Recipient.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{}}}
	key.Recipient.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ApiKey{ApiKey: &outboundv1.ApiKeyAuth{Header: "X-Key"}}}
	key.Recipient.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{Id: "ss-1"}, {Id: "ss-2", Kind: outboundv1.SigningSecret_ED25519}}
	oauth, certificate := stored("oauth", "5"), stored("certificate", "6")
	oauth.Recipient.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Oauth2{Oauth2: &outboundv1.OAuth2ClientCredentials{
		TokenUrl: "https://token.example.com/", ClientId: "outbound", Scopes: []string{"events"},
		Parameters: []*outboundv1.OAuth2Parameter{{Name: "resource", Value: "a"}, {Name: "audience", Value: "c"}, {Name: "resource", Value: "b"}},
	}}}
	certificate.Recipient.GetHttp().Auth = &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ClientCertificate{
		ClientCertificate: &outboundv1.ClientCertificate{CertificatePem: "chain"},
	}}
	certificate.Recipient.GetHttp().StopOnGone = true
	seal(oauth, credential.SecretOAuth2Client, "s3cret")
	seal(certificate, credential.SecretClientKey, "private")
	pair := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	seal(key, credential.SigningSecretPath("ss-2"), credential.FormatEd25519Secret(pair))
	seal(basic, credential.SecretBasicPassword, "open sesame")
	seal(bearer, credential.SecretBearerToken, "t0ken")
	seal(key, credential.SecretAPIKeyValue, "k3y")
	seal(key, credential.SigningSecretPath("ss-1"), credential.FormatSigningSecret(make([]byte, 32)))
	// Sealed for another recipient, it must not open; the recipient is not to be sent to without it.
	moved := stored("moved", "4")
	moved.Recipient.GetHttp().Auth = bearer.Recipient.GetHttp().GetAuth()
	moved.SealedSecrets = bearer.GetSealedSecrets()
	s := &script{snapshot: []*outboundv1.WatchRecipientsResponse{is(basic), is(bearer), is(key), is(moved), is(oauth), is(certificate)}}
	c, _ := run(t, serve(t, s), configclient.Options{Sealer: sealer})
	for id, want := range map[string]recipient.Auth{
		"basic":  {Header: "Authorization", Value: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		"bearer": {Header: "Authorization", Value: "Bearer t0ken"},
		"key":    {Header: "X-Key", Value: "k3y"},
		"oauth": {OAuth2: &recipient.OAuth2{
			TokenURL: "https://token.example.com/", ClientID: "outbound", ClientSecret: "s3cret", Scopes: []string{"events"},
			Parameters: url.Values{"resource": {"a", "b"}, "audience": {"c"}},
		}},
		"certificate": {ClientCertificatePEM: "chain", ClientKeyPEM: "private"},
	} {
		r, ok := c.Recipient(id)
		if !ok || !reflect.DeepEqual(r.HTTP.Auth, want) || r.HTTP.StopOnGone != (id == "certificate") {
			t.Errorf("%s signs in with %v", id, r.HTTP.Auth)
		}
	}
	if r, _ := c.Recipient("key"); len(r.HTTP.SigningSecrets) != 2 || len(r.HTTP.SigningSecrets[0].Key) != 32 ||
		!r.HTTP.SigningSecrets[1].Ed25519 || !pair.Equal(ed25519.PrivateKey(r.HTTP.SigningSecrets[1].Key)) {
		t.Errorf("it signs with %v", r.HTTP.SigningSecrets)
	}
	if _, ok := c.Recipient("moved"); ok {
		t.Error("a recipient whose secret can't be opened is sent to")
	}
}

func TestEmailRecipientsHaveTheRetryOfTheSettings(t *testing.T) {
	mail := &outboundv1.StoredRecipient{Recipient: &outboundv1.Recipient{
		Id: "mail", DisplayName: "M", Channel: &outboundv1.Recipient_Email{
			Email: &outboundv1.EmailRecipient{Addresses: []string{"ops@example.com"}},
		},
	}}
	email := func(interval time.Duration) *outboundv1.WatchSettingsResponse {
		return &outboundv1.WatchSettingsResponse{
			Email: &outboundv1.EmailSettings{RetryInterval: durationpb.New(interval), RetryDuration: durationpb.New(time.Hour),
				TimeZone: "Europe/Vienna"},
			Smtp: &outboundv1.SmtpSettings{Host: "relay.example.com", Port: 465, Encryption: outboundv1.SmtpSettings_Encryption_TLS,
				MaxConnections: 12, Oauth2: &outboundv1.RelayOAuth2{Parameters: []*outboundv1.OAuth2Parameter{{Name: "resource", Value: "m"}}}},
			CustomFields: []*outboundv1.CustomField{{CodeName: "b", DisplayName: "Bee"}, {CodeName: "a", DisplayName: "Ay"}},
			Appliances: []*outboundv1.StoredAppliance{{Appliance: &outboundv1.Appliance{Id: "a1"}, TokenSha256: secret.HashToken("t"),
				PasswordBcrypt: "$2a$"}},
		}
	}
	s := &script{snapshot: []*outboundv1.WatchRecipientsResponse{is(mail)}, settings: email(time.Second)}
	c, await := run(t, serve(t, s), configclient.Options{Channel: recipient.Email})
	r, ok := c.Recipient("mail")
	if !ok || r.Channel() != recipient.Email || r.Retry.Interval != time.Second || r.Retry.Duration != time.Hour || r.MaxInFlight != 3 {
		t.Fatalf("it is %+v", r)
	}
	now := c.Settings()
	if now.SMTP.Encryption != settings.TLS || now.SMTP.Auth != settings.NoAuth || now.SMTP.Port != 465 ||
		now.Email.Location.String() != "Europe/Vienna" ||
		now.SMTP.OAuth2.Parameters.Get("resource") != "m" ||
		len(now.CustomFields) != 2 || now.CustomFields[0] != "a" || now.CustomFieldNames["b"] != "Bee" ||
		now.Appliances["a1"].TokenSHA256 != [32]byte(secret.HashToken("t")) {
		t.Errorf("the settings are %+v", now)
	}
	s.news <- email(2 * time.Second)
	await("the new retry holds", func() bool { r, _ := c.Recipient("mail"); return r.Retry.Interval == 2*time.Second })
	// Settings that can't be read change nothing.
	broken := email(3 * time.Second)
	broken.Email.TimeZone = "Mars/Olympus"
	s.news <- broken
	s.news <- email(4 * time.Second)
	await("the next ones hold", func() bool { r, _ := c.Recipient("mail"); return r.Retry.Interval == 4*time.Second })
}

func TestSettingsHaveDefaultsBeforeAnythingIsTold(t *testing.T) {
	conn, err := grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := configclient.New(conn, configclient.Options{Settings: true, NoRecipients: true})
	if s := c.Settings(); s == nil || s.Email.Location == nil || len(s.Types) == 0 || s.SMTP.Host != "" {
		t.Errorf("the settings are %+v", s)
	}
	select {
	case <-c.Ready():
		t.Error("ready although nothing was told")
	default:
	}
}
