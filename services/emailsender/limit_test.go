package emailsender_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/redistest"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/emailsender"
)

// hourly lets n mails go in an hour, one at once: a test never sees a second one.
func hourly(c *settings.SMTP) { c.RateLimit = recipient.RateLimit{Limit: 1, Period: time.Hour} }

func TestAMailBeyondTheRateLimitIsPutOff(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	conf := relayOf(srv)
	conf.change(hourly)
	s := emailsender.NewSender(t, options(), conf)
	d := deliveryTo(alice, bob)
	// The first address has its mail, so that the attempt counts and is not made again for it.
	v, o := try(t, s, d)
	want(t, v, delivery.Retry, reasons.PartlyDelivered)
	if o.RetryAfter <= 0 || v.After != o.RetryAfter ||
		!strings.Contains(v.Detail, "the relay's rate limit is reached: 1 emails in 1h0m0s; 1 of 2 addresses accepted") {
		t.Errorf("after %s: %s", v.After, v.Detail)
	}
	// The second attempt finds no turn at all: nothing left the process.
	v, _ = try(t, s, d)
	want(t, v, delivery.Postpone, reasons.RateLimit)
	counts(t, srv, map[string]int{alice: 1, bob: 0})
	conf.change(func(c *settings.SMTP) { c.RateLimit = recipient.RateLimit{} })
	v, _ = try(t, s, d)
	want(t, v, delivery.Delivered, reasons.OK)
	counts(t, srv, map[string]int{alice: 1, bob: 1})
}

func TestSendersShareTheRateLimitByRedis(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	address := redistest.Start(t).Address
	var verdicts []delivery.VerdictKind
	for range 3 {
		conf := relayOf(srv)
		conf.change(hourly)
		limiter, err := throttle.NewRedis(throttle.RedisOptions{Address: address, Timeout: waittest.Limit}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = limiter.Close() })
		v, _ := try(t, emailsender.NewLimitedSender(t, options(), conf, limiter), deliveryTo(alice))
		verdicts = append(verdicts, v.Kind)
	}
	if !slices.Equal(verdicts, []delivery.VerdictKind{delivery.Delivered, delivery.Postpone, delivery.Postpone}) || srv.CountFor(alice) != 1 {
		t.Errorf("verdicts %v, %d mails, want one from all three", verdicts, srv.CountFor(alice))
	}
}

func TestThereAreNoMoreConnectionsThanTheSettingsAllow(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	hold := make(chan struct{})
	srv.Play(smtptest.Script{Hold: hold})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) { c.MaxConnections = 2 })
	s := emailsender.NewSender(t, options(), conf)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			v, _ := try(t, s, deliveryTo(alice))
			want(t, v, delivery.Delivered, reasons.OK)
		})
	}
	srv.AwaitOpen(t, 2)
	v, o := try(t, s, deliveryTo(bob))
	want(t, v, delivery.Postpone, reasons.RateLimit)
	if !strings.Contains(o.Detail, "maxConnections") || srv.Connections() != 2 {
		t.Errorf("%d connections: %s", srv.Connections(), o.Detail)
	}
	close(hold)
	wg.Wait()
	srv.Play(smtptest.Script{})
	var many sync.WaitGroup
	for range 20 {
		many.Go(func() {
			v, _ := try(t, s, deliveryTo(bob))
			for v.Kind == delivery.Postpone { // a busy machine may be slower than the wait for a connection
				v, _ = try(t, s, deliveryTo(bob))
			}
			want(t, v, delivery.Delivered, reasons.OK)
		})
	}
	many.Wait()
	if n := srv.Connections(); n != 2 {
		t.Errorf("%d connections for 22 mails, want 2", n)
	}
	counts(t, srv, map[string]int{alice: 2, bob: 20})
}

func TestAWaitForAConnectionEndsWithTheShutdown(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	hold := make(chan struct{})
	srv.Play(smtptest.Script{Hold: hold})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) { c.MaxConnections = 1 })
	s := emailsender.NewSender(t, options(), conf)
	var wg sync.WaitGroup
	wg.Go(func() { try(t, s, deliveryTo(alice)) })
	<-srv.Holding()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := deliveryTo(bob)
	want(t, s.Judge(d, s.Send(ctx, d)), delivery.Postpone, reasons.Shutdown)
	close(hold)
	wg.Wait()
	counts(t, srv, map[string]int{alice: 1, bob: 0})
}

func TestTheNameInEHLOIsTheSettingsElseTheOptions(t *testing.T) {
	for name, c := range map[string]struct{ setting, option, said string }{
		"setting": {"mail.example.com", "host.example.com", "EHLO mail.example.com\r\n"},
		"option":  {"", "host.example.com", "EHLO host.example.com\r\n"},
		"neither": {"", "nodot", "EHLO [127.0.0.1]\r\n"},
	} {
		srv := smtptest.Start(t, smtptest.Options{})
		conf, o := relayOf(srv), options()
		conf.change(func(p *settings.SMTP) { p.Hello = c.setting })
		o.HelloName = c.option
		v, _ := try(t, emailsender.NewSender(t, o, conf), deliveryTo(alice))
		want(t, v, delivery.Delivered, reasons.OK)
		if !strings.HasPrefix(srv.Heard(), c.said) {
			t.Errorf("%s: said %q", name, srv.Heard()[:40])
		}
	}
}
