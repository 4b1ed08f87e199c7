// Package demo plays support sessions through a running Outbound and gives a readable account of what arrived where. It
// runs outside of Outbound: it uses REST as an operator, NATS as an appliance, and has its own HTTPS server and
// SMTP relay as receivers.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/process"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Options say how the demo plays.
type Options struct {
	// Once ends the demo after the first round instead of playing on.
	Once bool
	// Pause between two events, so that one can read along.
	Pause time.Duration
	// Every is the pause between two rounds.
	Every time.Duration
	// Deadline is how long what is expected may take to arrive.
	Deadline time.Duration
	// Colour writes in colours.
	Colour bool
}

// DefaultOptions play on for ever at a readable pace.
func DefaultOptions() Options {
	return Options{Pause: 600 * time.Millisecond, Every: 20 * time.Second, Deadline: 2 * time.Minute}
}

// Validate reports all faults at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.Pause < 0 {
		f.Add("pause", "must not be negative, but is %s", o.Pause)
	}
	if o.Every <= 0 {
		f.Add("every", "must be more than 0, but is %s", o.Every)
	}
	if o.Deadline <= 0 {
		f.Add("deadline", "must be more than 0, but is %s", o.Deadline)
	}
	return f.Err()
}

// Deps is the running Outbound.
type Deps struct {
	// HTTP is the base address of REST, e.g. http://127.0.0.1:8080.
	HTTP string
	// NATS is the broker's address for appliances, e.g. 127.0.0.1:4222.
	NATS string
	// FirstStart is the link by which the console's first user is made; empty: there is one already.
	FirstStart string
	// Token is an admin token.
	Token string
	// Data is the folder in which people find what Outbound keeps, the token among it.
	Data string
	// Out is where the account is written.
	Out io.Writer
}

// The times the demo gives others.
const (
	// readHeaderTimeout bounds each call and each request in the demo's own servers.
	readHeaderTimeout = 10 * time.Second
	// quietTime is how long a change of settings may take to act: 5 s are promised.
	quietTime = 10 * time.Second
	// pollEvery is the pause between two looks.
	pollEvery = 100 * time.Millisecond
	// arrivalTime is how long to wait for an event's arrivals before the next event.
	arrivalTime = 2 * time.Second
)

// applianceID is who publishes.
const applianceID = "support-1"

// Service is the demo.
type Service struct {
	options Options
	deps    Deps
	screen  *screen
	api     *rest
	ledger  *ledger
	// played counts events, for their ids; rounds counts rounds, for the tickets' numbers.
	played, rounds int
	// sessions of this round, and whether something in it is late.
	sessions []string
	late     bool
	// current is the key of the event that the account is at.
	current atomic.Value
}

// New makes a demo of a running Outbound.
func New(o Options, d Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Service{
		options: o, deps: d, screen: &screen{out: d.Out, colour: o.Colour},
		api: newREST(d.HTTP, d.Token), ledger: newLedger(),
	}, nil
}

// Run plays until ctx ends, or one round if so asked. An error names what did not arrive.
func (s *Service) Run(ctx context.Context) error {
	defer s.api.Close()
	c, err := openCompany(s.arrived)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := s.api.Ready(ctx, s.options.Deadline); err != nil {
		return fmt.Errorf("wait for Outbound at %s: %w", s.deps.HTTP, err)
	}
	s.introduce(c)
	if err := c.define(ctx, s.api); err != nil {
		return err
	}
	a, err := s.appliance(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	for {
		if err := s.round(ctx, a); err != nil {
			return s.ended(ctx, err)
		}
		if s.options.Once {
			return nil
		}
		s.screen.Line("\nThe next session starts in %s; press Ctrl-C to stop the demo.", s.options.Every)
		if !pause.For(ctx, s.options.Every) {
			return nil
		}
	}
}

// ended takes the faults of a demo that is being stopped for what they are: its end. One round that was cut short has shown
// nothing, so there they stay faults.
func (s *Service) ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case s.options.Once:
		return errors.New("stopped before everything arrived")
	}
	return nil
}

func (s *Service) introduce(c *company) {
	s.screen.Line("%s  an appliance's support session, sent to four recipients\n", s.screen.in(bold, "Outbound demo"))
	s.screen.Line("  %s  form-encoded and signed, all seven event types, custom fields", column(ticketDesk))
	s.screen.Line("                %s (with a new CA, uploaded to the recipient)", c.receiver.Base)
	s.screen.Line("  %s  CloudEvents JSON, session start and end; responds with 500 twice, then recovers", column(crm))
	s.screen.Line("  %s  email about session end and surveys, only with an external key", column(serviceDesk))
	s.screen.Line("  %s  email about the same events, always", column(teamLead))
}

// appliance adds the appliance and signs in as it.
func (s *Service) appliance(ctx context.Context) (*appliance, error) {
	var credentials outboundv1.ApplianceCredentials
	err := s.api.Call(ctx, http.MethodPost, "/v1/appliances", &outboundv1.Appliance{Id: applianceID, DisplayName: "Demo appliance"},
		&credentials)
	if err != nil {
		return nil, fmt.Errorf("add the appliance: %w", err)
	}
	return connectAppliance(ctx, s.deps.NATS, applianceID, credentials.GetUser(), credentials.GetPassword())
}

// round plays both stories and settles the account.
func (s *Service) round(ctx context.Context, a *appliance) error {
	s.rounds++
	s.sessions, s.late = nil, false
	s.ledger.Clear()
	ticketed, err := ticketedSession(1000 + s.rounds)
	if err != nil {
		return err
	}
	unticketed, err := plainSession()
	if err != nil {
		return err
	}
	for _, story := range []story{ticketed, unticketed} {
		if err := s.play(ctx, a, story); err != nil {
			return err
		}
	}
	return s.awaitQuiet(ctx)
}

// play publishes a story's events, each after the arrivals of the previous one were shown.
func (s *Service) play(ctx context.Context, a *appliance, story story) error {
	s.screen.Title(story.Title + "  " + s.screen.in(faint, "lsid "+story.Session))
	s.sessions = append(s.sessions, story.Session)
	for _, step := range story.Steps {
		if !pause.For(ctx, s.options.Pause) {
			return ctx.Err()
		}
		s.played++
		id := fmt.Sprintf("e-%d", s.played)
		s.current.Store(applianceID + "~" + id)
		s.expect(applianceID+"~"+id, step)
		s.screen.Happening(time.Now(), step.Says, step.Type)
		r, err := a.Publish(ctx, id, story.Session, step)
		if err != nil {
			return err
		}
		// Once something is late the account no longer waits for each event; the end of the round does.
		if !s.late {
			s.late = !s.ledger.Await(ctx, arrivalTime, touched(r.EventID))
		}
	}
	return nil
}

func (s *Service) expect(eventKey string, step step) {
	for _, recipient := range recipientIDs() {
		if owedToIt, skip := wants(recipient, step); owedToIt {
			s.ledger.Expect(owed{recipient, eventKey}, skip)
		}
	}
}
