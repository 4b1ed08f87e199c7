package httpsender

import (
	"context"
	"errors"
	"net/textproto"
	"strings"
	"sync"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/httpsender/internal/pull"
)

// answerPulls answers receivers that pull, until ctx ends or the function it returns is called, which waits for the answers under way.
func (s *Service) answerPulls(ctx context.Context, log *deliverylog.Log, numbers *eventnumbers.Numbers) (marks *pull.Marks, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	answerer := pull.New(pull.Deps{
		Bus: s.deps.Bus, Log: log, Numbers: numbers, Matches: s.filters.Matches, Render: s.pulled, Observer: s.deps.Observer,
	})
	marks = &pull.Marks{}
	var wg sync.WaitGroup
	wg.Go(func() { marks.Follow(ctx, s.deps.Bus, recipient.HTTP, s.deps.Logger) })
	pulls := control.NewPulls(s.deps.Bus)
	wg.Go(func() {
		s.cantPull(pulls.Serve(ctx, func(ctx context.Context, q control.PullQuestion) (a control.PullAnswer, err error) {
			r, err := s.await(ctx, q.Recipient, q.StartSequence, q.Revision)
			if err != nil {
				return a, err
			}
			return answerer.Pull(ctx, r, q)
		}))
	})
	wg.Go(func() {
		type answer = control.AcknowledgeAnswer
		s.cantPull(pulls.ServeAcknowledge(ctx, func(ctx context.Context, q control.AcknowledgeQuestion) (a answer, err error) {
			r, err := s.await(ctx, q.Recipient, q.StartSequence, q.Revision)
			if err != nil {
				return a, err
			}
			return answerer.Acknowledge(ctx, r, q)
		}))
	})
	return marks, func() {
		cancel()
		wg.Wait()
	}
}

func (s *Service) cantPull(err error) {
	if err != nil {
		s.deps.Logger.Error("this sender can't answer receivers that pull", telemetry.KeyError, err.Error())
	}
}

// pulledHeaders begin the names of the headers that a pulled delivery has: those that tell of the event or prove where it comes from. What
// opens the receiver's door, as Authorization and the headers of the recipient, stays here.
func pulledHeaders(name string) bool {
	for _, prefix := range []string{"Webhook-", "Outbound-", "Ce-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "Content-Type"
}

// pulled writes the request of a delivery as it would be sent now, and takes from its headers those that are ours.
func (s *Service) pulled(d *delivery.Delivery) (map[string]string, []byte, error) {
	c := s.send.client(d.Recipient)
	if c.target == nil {
		return nil, nil, errors.New(c.detail)
	}
	header, body, err := c.target.request(d, render.Sending{At: s.send.now(), Custom: s.send.customFields()})
	if err != nil {
		return nil, nil, err
	}
	out := map[string]string{}
	for name, values := range header {
		if pulledHeaders(name) && len(values) > 0 {
			out[name] = strings.Join(values, " ")
		}
	}
	for name := range d.Recipient.HTTP.Headers {
		delete(out, textproto.CanonicalMIMEHeaderKey(name))
	}
	delete(out, textproto.CanonicalMIMEHeaderKey(d.Recipient.HTTP.Auth.Header))
	return out, body, nil
}
