package ingest_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/ingest"
)

// endingTokens tells of appliances whose tokens end.
type endingTokens struct {
	outboundv1.UnimplementedSettingsServiceServer
	end time.Time
}

func (s endingTokens) WatchSettings(_ *outboundv1.WatchSettingsRequest,
	stream grpc.ServerStreamingServer[outboundv1.WatchSettingsResponse]) error {
	appliance := func(id string, end time.Time) *outboundv1.StoredAppliance {
		out := &outboundv1.StoredAppliance{Appliance: &outboundv1.Appliance{Id: id}, TokenSha256: secret.HashToken(id)}
		if !end.IsZero() {
			out.Appliance.TokenExpireTime = timestamppb.New(end)
		}
		return out
	}
	renewed := appliance("renewed", time.Now().Add(time.Hour))
	renewed.PreviousTokenSha256, renewed.PreviousTokenExpireTime = secret.HashToken("old"), timestamppb.New(s.end)
	if err := stream.Send(&outboundv1.WatchSettingsResponse{Smtp: &outboundv1.SmtpSettings{}, Email: &outboundv1.EmailSettings{},
		Appliances: []*outboundv1.StoredAppliance{appliance("never", time.Time{}), appliance("ended", time.Now().Add(-time.Minute)),
			appliance("ends", s.end), renewed}}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func TestATokenOfAnApplianceIsAcceptedUntilItEnds(t *testing.T) {
	s := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Service: serviceToken}})
	end := time.Now().Add(5 * time.Second)
	outboundv1.RegisterSettingsServiceServer(s, endingTokens{end: end})
	local := rpc.InProcess(s)
	defer func() { s.Stop(); _ = local.Close() }()
	conn, err := local.Dial(serviceToken)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	config := configclient.New(conn, configclient.Options{NoRecipients: true, Settings: true})
	h := &fixture{t: t}
	defer h.background(config.Run)()
	waittest.Until(t, "the client knows the appliances", func() bool { return config.Told() == nil })
	tokens := ingest.NewApplianceTokens(config)
	is := func(token string) string {
		t.Helper()
		before := time.Now()
		p, err := tokens.Authenticate(t.Context(), token)
		if err != nil && !errors.Is(err, rpc.ErrUnknownToken) {
			t.Fatal(err)
		}
		if token != "never" && token != "renewed" && err == nil && !before.Before(end) {
			t.Errorf("%s is accepted after its end", token)
		}
		return p.Appliance
	}
	if is("never") != "never" || is("renewed") != "renewed" || is("ended") != "" {
		t.Errorf("never: %q, renewed: %q, ended: %q", is("never"), is("renewed"), is("ended"))
	}
	if ends, old := is("ends"), is("old"); time.Now().Before(end) && (ends != "ends" || old != "renewed") {
		t.Errorf("before the end: %q, %q", ends, old)
	}
	waittest.Until(t, "the tokens end", func() bool { return is("ends") == "" && is("old") == "" })
	if time.Now().Before(end) || is("never") != "never" || is("renewed") != "renewed" {
		t.Error("a token ended before its time")
	}
}
