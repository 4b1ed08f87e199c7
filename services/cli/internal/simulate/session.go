package simulate

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/events"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// player plays the support sessions of one appliance.
type player struct {
	appliance    string
	customFields []string
	random       *rand.Rand

	// session is the current session.
	session, externalKey, customer, company, issue string
	rep, owner                                     person
	custom                                         resource.Tree
	step                                           int
	began                                          time.Time
}

// person is a representative.
type person struct{ username, name, id string }

// play publishes one event for each turn, until there are no more.
func (p *player) play(ctx context.Context, c *client.Client, turns <-chan struct{}, t *tally) {
	for range turns {
		raw, err := p.next(time.Now()).Encode()
		if err == nil {
			// A call that is under way finishes, so that its event is counted.
			_, err = c.Publish(context.WithoutCancel(ctx), raw)
		}
		t.count(err)
	}
}

// script lists the event types of a support session.
func script() []string {
	return []string{
		"support_conference_begin",
		"support_conference_member_added",
		"support_conference_owner_changed",
		"support_conference_member_departed",
		"support_conference_end",
		"support_conference_customer_exit_survey_completed",
		"support_conference_rep_exit_survey_completed",
	}
}

func (p *player) next(now time.Time) events.CloudEvent {
	if p.step == 0 {
		p.start(now)
	}
	eventType := script()[p.step]
	p.step = (p.step + 1) % len(script())
	if eventType == "support_conference_owner_changed" && p.externalKey == "" {
		// The ticket is made while the session runs.
		p.externalKey = "INC" + strconv.Itoa(100000+p.random.IntN(900000))
	}
	e := events.CloudEvent{
		ID: ulid.Make().String(), Source: p.appliance, Type: eventType, Time: now.UTC().Format(time.RFC3339Nano), Subject: p.session,
		ExternalKey: p.externalKey, Custom: p.custom, Variables: resource.Tree{},
	}
	for _, t := range event.Catalogue() {
		if t.ID != eventType {
			continue
		}
		for _, v := range t.Variables {
			e.Variables[v.Name] = p.value(v, now)
		}
	}
	return e
}

func (p *player) start(now time.Time) {
	id := make([]byte, 16)
	for i := range id {
		id[i] = byte(p.random.UintN(256))
	}
	p.session, p.externalKey, p.began = hex.EncodeToString(id), "", now
	p.customer = pick(p.random, "Maria Jansen", "Tomás Álvarez", "Yuki Tanaka", "Amara Okafor", "Ingrid Holm", "Zoë O'Brien")
	p.company = pick(p.random, "Example Ltd", "Muster & Söhne", "Contoso", "Northwind", "Acme")
	p.issue = pick(p.random, "Printer does not answer", "VPN drops every hour", "Mail is slow", "Screen stays black", "Password expired")
	reps := []person{{"joe12345", "Joe Miller", "12345"}, {"asmith", "Alex Smith", "204"}, {"plee", "Pat Lee", "31"}}
	i := p.random.IntN(len(reps))
	p.rep, p.owner = reps[i], reps[(i+1)%len(reps)]
	p.custom = resource.Tree{}
	for _, name := range p.customFields {
		p.custom[name] = pick(p.random, "emea", "amer", "apac")
	}
}

// value is a variable's value in the current session, or the example of the catalogue.
func (p *player) value(v event.TypeVariable, now time.Time) any {
	switch v.Name {
	case "customer.name":
		return p.customer
	case "customer.company":
		return p.company
	case "customer.details":
		return p.issue
	case "name", "display_name":
		return p.rep.name
	case "username":
		return p.rep.username
	case "user_id":
		return p.rep.id
	case "type":
		return "representative"
	case "old_owner.username":
		return p.owner.username
	case "old_owner.display_name":
		return p.owner.name
	case "new_owner.username":
		return p.rep.username
	case "new_owner.display_name":
		return p.rep.name
	case "duration":
		return strconv.Itoa(60 + int(now.Sub(p.began).Seconds()) + p.random.IntN(3600))
	case "rating":
		return strconv.Itoa(1 + p.random.IntN(5))
	case "comment":
		return pick(p.random, "Quick and friendly", "It took a while", "Solved at once")
	default:
		return v.Example
	}
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
