package config_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// rotation is a sender whose token endpoint gives a new refresh token now and then.
type rotation struct {
	*fixture
	stream outboundv1.SettingsService_WatchSettingsClient
}

func (h *fixture) rotation() rotation {
	h.t.Helper()
	stream, err := h.watcher.WatchSettings(h.ctx(), &outboundv1.WatchSettingsRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	return rotation{h, stream}
}

// uses waits until senders are told to use a token, with the sender's name that the settings have then.
func (r rotation) uses(token, fromName string) {
	r.t.Helper()
	for {
		p, err := r.stream.Recv()
		if err != nil {
			r.t.Fatalf("senders were never told to use %s from %q: %v", token, fromName, err)
		}
		plain, err := r.sealer.Open(p.GetSealedSmtpSecrets()[credential.SecretRelayRefresh], credential.SecretRelayRefresh)
		if err == nil && string(plain) == token && p.GetSmtp().GetFromName() == fromName {
			return
		}
	}
}

// keep hands in what was got for a token; f changes what is said of it.
func (r rotation) keep(replaced, token string, f func(*outboundv1.KeepRelayTokenRequest)) error {
	sum := sha256.Sum256([]byte(replaced))
	q := &outboundv1.KeepRelayTokenRequest{TokenUrl: "https://login.example.com/token", ClientId: "outbound", ReplacedSha256: sum[:],
		RefreshToken: token}
	f(q)
	_, err := r.watcher.KeepRelayToken(r.ctx(), q)
	return err
}

func asItIs(*outboundv1.KeepRelayTokenRequest) {}

func (r rotation) mustKeep(replaced, token string) {
	r.t.Helper()
	if err := r.keep(replaced, token, asItIs); err != nil {
		r.t.Fatal(err)
	}
}

func TestARotatedRefreshTokenReplacesTheOneItWasGotWith(t *testing.T) {
	h := start(t)
	r := h.rotation()
	wantCode(t, r.keep(canaryRefresh, "rotated", asItIs), codes.FailedPrecondition)
	h.mustRelay(byToken())
	r.uses(canaryRefresh, "Outbound")
	wantCode(t, r.keep(canaryRefresh, "rotated", func(q *outboundv1.KeepRelayTokenRequest) { q.ClientId = "other" }), codes.FailedPrecondition)
	wantCode(t, r.keep(canaryRefresh, "rotated", func(q *outboundv1.KeepRelayTokenRequest) { q.TokenUrl = "https://login.example.com/" }),
		codes.FailedPrecondition)
	wantCode(t, r.keep("another", "rotated", asItIs), codes.FailedPrecondition)
	r.mustKeep(canaryRefresh, "rotated")
	r.uses("rotated", "Outbound")
	wantCode(t, r.keep(canaryRefresh, "stale", asItIs), codes.FailedPrecondition)
	_, err := h.settings.KeepRelayToken(h.ctx(), &outboundv1.KeepRelayTokenRequest{})
	wantCode(t, err, codes.PermissionDenied)
}

func TestRotatedRefreshTokensMakeNoRevisions(t *testing.T) {
	h := start(t)
	r := h.rotation()
	etag := h.mustRelay(byToken()).GetEtag()
	last := canaryRefresh
	for i := range 70 {
		next := fmt.Sprintf("rotated-%d", i)
		r.mustKeep(last, next)
		last = next
	}
	r.uses(last, "Outbound")
	for _, resource := range []string{"settings/smtp", ""} {
		if all := h.revisions(resource, 0); len(all) != 1 || all[0].GetResource() != "settings/smtp" || all[0].GetAction() != "created" {
			t.Errorf("the revisions of %q are %v", resource, all)
		}
	}
	if got, err := h.settings.GetSmtpSettings(h.ctx(), &outboundv1.GetSmtpSettingsRequest{}); err != nil || got.GetEtag() != etag {
		t.Errorf("the etag %s became %s: %v", etag, got.GetEtag(), err)
	}
}

func TestWhatAnOperatorGivesReplacesARotatedRefreshToken(t *testing.T) {
	h := start(t)
	r := h.rotation()
	h.mustRelay(byToken())
	r.mustKeep(canaryRefresh, "rotated")
	// Other changes leave it, and so does a roll back of them: the token that was given first is good no more.
	h.mustRelay(&outboundv1.SmtpSettings{FromName: "Desk"}, "from_name")
	r.uses("rotated", "Desk")
	first := h.revisions("settings/smtp", 0)[1].GetRevision()
	h.rollBack("settings/smtp", first)
	r.uses("rotated", "Outbound")
	give := func(token string) {
		h.mustRelay(&outboundv1.SmtpSettings{Oauth2: &outboundv1.RelayOAuth2{RefreshToken: token}}, "oauth2.refresh_token")
		r.uses(token, "Outbound")
	}
	give("given")
	wantCode(t, r.keep("rotated", "stale", asItIs), codes.FailedPrecondition)
	r.mustKeep("given", "rotated-given")
	r.uses("rotated-given", "Outbound")
	// The same text again is a decision all the same.
	give("given")
	h.rollBack("settings/smtp", first)
	r.uses(canaryRefresh, "Outbound")
}
