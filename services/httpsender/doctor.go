package httpsender

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// knowWithin is how long a recipient's latest revision is waited for: changes act within 5 s.
	knowWithin = 5 * time.Second
	knowPoll   = 20 * time.Millisecond
)

// answerDoctor answers the doctor's questions until ctx ends or the function it returns is called, which waits for the answers
// under way.
func (s *Service) answerDoctor(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := control.New(s.deps.Bus).ServeDoctor(ctx, s.doctor); err != nil {
			s.deps.Logger.Error("this sender can't run diagnostics", telemetry.KeyError, err.Error())
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// doctor walks the way to a recipient with its own transport's settings, and posts a test event if asked to. Nothing of it is
// recorded, and neither rate limit nor breaker hold it back: it is for finding out why deliveries fail.
func (s *Service) doctor(ctx context.Context, q control.DoctorQuestion) (report egress.Report, err error) {
	r, err := s.await(ctx, q.Recipient, q.StartSequence, q.Revision)
	if err != nil {
		return report, err
	}
	s.send.probe(ctx, r, &report)
	switch {
	case !report.Healthy():
	case q.Post:
		s.post(ctx, r, &report)
	default:
		report.Steps[len(report.Steps)-1].Detail += "; no request was sent, as none was requested"
	}
	s.send.client(r).mask.report(&report)
	return report, nil
}

// await waits until the recipient is known as the asker knows it.
func (s *Service) await(ctx context.Context, id string, start, revision uint64) (*recipient.Recipient, error) {
	ctx, cancel := context.WithTimeout(ctx, knowWithin)
	defer cancel()
	tick := time.NewTicker(knowPoll)
	defer tick.Stop()
	for {
		r, ok := s.deps.Config.Recipient(id)
		if ok && r.HTTP != nil && (r.StartSequence > start || r.StartSequence == start && r.Revision >= revision) {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the HTTP sender does not have the current configuration of recipient %s: check its log and try again", id)
		case <-tick.C:
		}
	}
}

// probe goes the way to a recipient up to TLS.
func (s *sender) probe(ctx context.Context, r *recipient.Recipient, report *egress.Report) {
	began := time.Now()
	c := s.client(r)
	if c.fault == delivery.FaultEgress {
		report.Add(egress.Step{Name: egress.StepURL, Detail: c.detail,
			Remedy: "change the recipient's URL, or start with another --url-policy", Took: time.Since(began)})
		return
	}
	where := "the URL is allowed"
	if u, err := recipient.ParseURL(r.HTTP.URL); err == nil {
		where = u.Scheme + "://" + u.Host + " is allowed by the URL policy " + string(s.policy)
	}
	report.Add(egress.Step{Name: egress.StepURL, OK: true, Detail: where, Took: time.Since(began)})
	switch c.fault {
	case 0:
		egress.Probe(ctx, c.options, c.URL, report)
	case delivery.FaultTLS:
		report.Add(egress.Step{Name: egress.StepTLS, Detail: c.detail, Remedy: "upload the root certificate again as http.caCertificatePem"})
	default:
		report.Add(egress.Step{Name: egress.StepHTTP, Detail: c.detail,
			Remedy: "no request can be created: correct the recipient as described and save it"})
	}
}

// post sends a test event, made like any other, and judges the answer by the recipient's own rule.
func (s *Service) post(ctx context.Context, r *recipient.Recipient, report *egress.Report) {
	settings := s.deps.Config.Settings()
	now := s.deps.Bus.Now()
	var e *event.Event
	for _, id := range r.EventTypes {
		if t, ok := settings.Types[id]; ok && e == nil {
			e = event.Sample(t, event.TestAppliance, "doctor-"+rand.Text(), now, settings.CustomFields)
		}
	}
	if e == nil {
		report.Add(egress.Step{Name: egress.StepHTTP, Detail: "none of the recipient's event types has valid sample values",
			Remedy: "correct the examples of the event types"})
		return
	}
	d := &delivery.Delivery{Recipient: r, Event: e, Test: true, ReplayID: e.ID, Accepted: now, Attempt: 1}
	o := s.send.Send(ctx, d)
	if o.Fault != delivery.FaultNone {
		report.Add(egress.Step{Name: egress.StepHTTP, Detail: o.Detail, Remedy: faultRemedy(o.Fault), Took: o.Took})
		return
	}
	report.Add(egress.Step{Name: egress.StepHTTP, OK: true, Detail: "sent test event " + e.Key() + ", response " + statusText(o.Status),
		Took: o.Took})
	v := s.send.Judge(d, o)
	step := egress.Step{Name: egress.StepStatus, OK: v.Kind == delivery.Delivered, Detail: statusText(o.Status) + " counts as delivered"}
	if !step.OK {
		step.Detail, step.Remedy = "does not count as delivered: "+v.Detail, answerRemedy(o)
	}
	report.Add(step)
}

func faultRemedy(f delivery.Fault) string {
	switch f {
	case delivery.FaultTimeout:
		return "check why the receiver is slow, or set a longer http.timeout"
	case delivery.FaultAuth:
		return "check http.auth of the recipient, and the token server if there is one"
	case delivery.FaultTLS:
		return "the receiver rejected the TLS handshake: check http.auth.clientCertificate and the receiver's log"
	case delivery.FaultRender:
		return "the test event can't be rendered: check format, bodyTemplate and headers"
	case delivery.FaultProxy:
		return "check the proxy options of the http-sender, and what the proxy allows"
	case delivery.FaultCut, delivery.FaultProtocol:
		return "check that an HTTP server listens on this port, and check the receiver's log"
	case delivery.FaultNone, delivery.FaultDNS, delivery.FaultEgress, delivery.FaultConnect, delivery.FaultConnectTimeout,
		delivery.FaultRelayUnset, delivery.FaultShutdown:
		return "run diagnostics again: this step succeeded a moment ago"
	default:
		return "run diagnostics again, and check the sender's log"
	}
}

// answerRemedy says what to do about an answer that is no success: by what common servers say in its body, else by its status.
func answerRemedy(o delivery.Outcome) string {
	for _, known := range []struct{ says, remedy string }{
		{"No required SSL certificate was sent", "the receiver requires a client certificate: set http.auth.clientCertificate"},
		{"The SSL certificate error", "the receiver does not accept the client certificate: check that it trusts the issuer of " +
			"http.auth.clientCertificate, and that the certificate has not expired"},
		{"plain HTTP request was sent to HTTPS port", "use https:// in the URL: the receiver speaks TLS on this port"},
		{"speaking plain HTTP to an SSL-enabled server port", "use https:// in the URL: the receiver speaks TLS on this port"},
	} {
		if o.Status >= 400 && bytes.Contains(o.Excerpt, []byte(known.says)) {
			return known.remedy
		}
	}
	return statusRemedy(o.Status)
}

func statusRemedy(status int) string {
	switch {
	case status >= 200 && status < 300:
		return "if this status means success, set http.success to ANY_2XX"
	case status >= 300 && status < 400:
		return "use the URL of the redirect: redirects are not followed"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "check http.auth, http.headers and http.signingSecrets against what the receiver expects"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone:
		return "check the path of the URL: the receiver does not accept POST there"
	case status == http.StatusRequestEntityTooLarge:
		return "the receiver, or a proxy in front of it, accepts no body of this size: raise its limit (nginx: client_max_body_size; " +
			"Apache: LimitRequestBody; IIS: maxAllowedContentLength)"
	case status == http.StatusUnsupportedMediaType || status == http.StatusBadRequest ||
		status == http.StatusUnprocessableEntity:
		return "check http.format (FORM or JSON) against what the receiver expects; the delivery shows the response"
	case status == http.StatusTooManyRequests:
		return "set http.rateLimit or a smaller http.maxInFlight"
	case status >= 500:
		return "the receiver, or a proxy in front of it, failed: check its log"
	default:
		return "check the receiver's log"
	}
}
