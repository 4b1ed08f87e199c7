package declare

import (
	"context"
	"fmt"
	"net/http"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func (p *planner) recipients(ctx context.Context, w wanted) ([]*step, error) {
	if len(w.recipients) == 0 {
		return nil, nil
	}
	have, err := p.client.AllRecipients(ctx)
	if err != nil {
		return nil, err
	}
	steps := make([]*step, 0, len(w.recipients))
	for _, t := range w.recipients {
		id, _ := t.tree["id"].(string)
		name, _ := t.tree["displayName"].(string)
		saved := &outboundv1.Recipient{}
		r := wantedResource{
			kind: kindRecipient, id: id, collection: "/v1/recipients", path: client.RecipientPath(id), declaration: t,
			want: &outboundv1.Recipient{}, saved: saved, notes: func() []string { return resource.Notes(saved) },
		}
		for _, x := range have.GetRecipients() {
			if x.GetDeleteTime() != nil {
				continue
			}
			if id == x.GetId() || id == "" && sameName(name, x.GetDisplayName()) {
				r.have, r.id, r.path = x, x.GetId(), client.RecipientPath(x.GetId())
			}
		}
		if r.id == "" {
			r.id = fmt.Sprintf("%q", name)
		}
		steps = add(steps, p.step(r))
	}
	return steps, nil
}

// appliances plans appliances. The notes of a new one are its credentials, which nobody can read later.
func (p *planner) appliances(ctx context.Context, w wanted) ([]*step, error) {
	if len(w.appliances) == 0 {
		return nil, nil
	}
	have := &outboundv1.ListAppliancesResponse{}
	if err := p.client.Call(ctx, http.MethodGet, "/v1/appliances", nil, have); err != nil {
		return nil, err
	}
	steps := make([]*step, 0, len(w.appliances))
	for _, t := range w.appliances {
		id, _ := t.tree["id"].(string)
		if id == "" {
			p.refuse(exit.Usagef("%s: an appliance has no id: set it to the source of its events", t.where))
			continue
		}
		r := wantedResource{
			kind: kindAppliance, id: id, collection: "/v1/appliances", path: client.AppliancePath(id), declaration: t,
			want: &outboundv1.Appliance{}, saved: &outboundv1.Appliance{},
		}
		for _, x := range have.GetAppliances() {
			if x.GetId() == id {
				r.have = x
			}
		}
		if r.have == nil {
			made := &outboundv1.ApplianceCredentials{}
			r.saved, r.notes = made, func() []string { return credentialNotes(made) }
		}
		steps = add(steps, p.step(r))
	}
	return steps, nil
}

func credentialNotes(c *outboundv1.ApplianceCredentials) []string {
	return []string{
		"shown only once: NATS user " + c.GetUser(),
		"shown only once: NATS password " + c.GetPassword(),
		"shown only once: HTTP token " + c.GetToken(),
	}
}
