package cli

import (
	"context"
	"fmt"
	"net/http"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (p *planner) recipients(ctx context.Context, w wanted) ([]*step, error) {
	if len(w.recipients) == 0 {
		return nil, nil
	}
	have, err := p.client.allRecipients(ctx)
	if err != nil {
		return nil, err
	}
	steps := make([]*step, 0, len(w.recipients))
	for _, t := range w.recipients {
		id, _ := t.tree["id"].(string)
		name, _ := t.tree["displayName"].(string)
		saved := &outboundv1.Recipient{}
		r := resource{
			kind: kindRecipient, id: id, collection: "/v1/recipients", path: recipientPath(id), declaration: t,
			want: &outboundv1.Recipient{}, saved: saved, notes: func() []string { return notesOf(saved) },
		}
		for _, x := range have.GetRecipients() {
			if x.GetDeleteTime() != nil {
				continue
			}
			if id == x.GetId() || id == "" && sameName(name, x.GetDisplayName()) {
				r.have, r.id, r.path = x, x.GetId(), recipientPath(x.GetId())
			}
		}
		if r.id == "" {
			r.id = fmt.Sprintf("%q", name)
		}
		steps = add(steps, p.step(r))
	}
	return steps, nil
}

// appliances adds and updates appliances. It shows the credentials of new ones, which can't be read later.
func (p *planner) appliances(ctx context.Context, w wanted) ([]*step, error) {
	if len(w.appliances) == 0 {
		return nil, nil
	}
	have := &outboundv1.ListAppliancesResponse{}
	if err := p.client.call(ctx, http.MethodGet, "/v1/appliances", nil, have); err != nil {
		return nil, err
	}
	steps := make([]*step, 0, len(w.appliances))
	for _, t := range w.appliances {
		id, _ := t.tree["id"].(string)
		if id == "" {
			p.refuse(usage("%s: an appliance has no id: set it to the source of its events", t.where))
			continue
		}
		r := resource{
			kind: kindAppliance, id: id, collection: "/v1/appliances", path: appliancePath(id), declaration: t,
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
