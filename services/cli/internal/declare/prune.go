package declare

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// The kinds of resources that a file may list.
const (
	kindEventType   = "event type"
	kindCustomField = "custom field"
	kindAppliance   = "appliance"
	kindRecipient   = "recipient"
)

// leftover is a stored resource.
type leftover struct{ id, etag, path string }

// leftovers returns steps that delete the stored resources that no file names, of the kinds that the files declare. Recipients go
// first: an event type that a recipient selects cannot be deleted.
func (p *planner) leftovers(ctx context.Context, w wanted, planned []*step) ([]*step, error) {
	var steps []*step
	for _, x := range []struct {
		key, kind string
		list      func(context.Context) ([]leftover, error)
	}{
		{"recipients", kindRecipient, p.thereRecipients},
		{"appliances", kindAppliance, p.thereAppliances},
		{"customFields", kindCustomField, p.thereCustomFields},
		{"eventTypes", kindEventType, p.thereEventTypes},
	} {
		if !slices.Contains(w.declared, x.key) {
			continue
		}
		there, err := x.list(ctx)
		if err != nil {
			return nil, err
		}
		p.stored[x.kind] = len(there)
		for _, one := range there {
			if !slices.ContainsFunc(planned, func(s *step) bool { return s.kind == x.kind && s.id == one.id }) {
				steps = append(steps, p.deletion(x.kind, one))
			}
		}
	}
	return steps, nil
}

// deletion returns the step that deletes a resource. If somebody changes the resource meanwhile, the step is a conflict.
func (p *planner) deletion(kind string, l leftover) *step {
	return &step{
		Action: actionDelete, Resource: kind + " " + l.id, kind: kind, id: l.id, where: "--prune", planned: plannedDeletion(kind, l),
		do: func(ctx context.Context, _ *step) error {
			return p.client.Call(ctx, http.MethodDelete, l.path+"?"+url.Values{"etag": {l.etag}}.Encode(), nil, nil)
		},
	}
}

func (p *planner) thereRecipients(ctx context.Context) ([]leftover, error) {
	all, err := p.client.AllRecipients(ctx)
	if err != nil {
		return nil, err
	}
	var out []leftover
	for _, r := range all.GetRecipients() {
		if r.GetDeleteTime() == nil {
			out = append(out, leftover{r.GetId(), r.GetEtag(), client.RecipientPath(r.GetId())})
		}
	}
	return out, nil
}

func (p *planner) thereAppliances(ctx context.Context) ([]leftover, error) {
	all := &outboundv1.ListAppliancesResponse{}
	if err := p.client.Call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
		return nil, err
	}
	var out []leftover
	for _, x := range all.GetAppliances() {
		out = append(out, leftover{x.GetId(), x.GetEtag(), client.AppliancePath(x.GetId())})
	}
	return out, nil
}

func (p *planner) thereCustomFields(ctx context.Context) ([]leftover, error) {
	all := &outboundv1.ListCustomFieldsResponse{}
	if err := p.client.Call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
		return nil, err
	}
	var out []leftover
	for _, x := range all.GetCustomFields() {
		out = append(out, leftover{x.GetCodeName(), x.GetEtag(), "/v1/custom-fields/" + url.PathEscape(x.GetCodeName())})
	}
	return out, nil
}

func (p *planner) thereEventTypes(ctx context.Context) ([]leftover, error) {
	all := &outboundv1.ListEventTypesResponse{}
	if err := p.client.Call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
		return nil, err
	}
	var out []leftover
	for _, x := range all.GetEventTypes() {
		if !x.GetBuiltIn() {
			out = append(out, leftover{x.GetId(), x.GetEtag(), "/v1/event-types/" + url.PathEscape(x.GetId())})
		}
	}
	return out, nil
}

// askToDelete lists what would be deleted, with numbers, and asks the user, unless nothing is deleted.
func (p *application) askToDelete(steps []*step, stored map[string]int) (bool, error) {
	deletions := map[string]int{}
	var lines []string
	for _, s := range steps {
		if s.Action == actionDelete {
			deletions[s.kind]++
			lines = append(lines, s.Resource)
		}
	}
	if len(lines) == 0 || p.dryRun {
		return true, nil
	}
	numbers := numbered(deletions, stored)
	if p.yes {
		if !p.Structured() {
			p.Say("not in the files: %s will be deleted", numbers)
		}
		return true, nil
	}
	if p.Structured() {
		return false, exit.Usagef("--prune with -o %s would delete %s: use --yes if that is meant", p.Format, numbers)
	}
	p.Say("not in the files, will be deleted:")
	for _, d := range lines {
		p.Say("  %s", d)
	}
	if slices.Contains(p.files, "-") {
		return false, exit.Usagef("--prune would delete %s, which needs confirmation, and standard input is in use: use --yes", numbers)
	}
	sure, err := p.Agree("Delete "+numbers+"? Events that wait for deleted recipients are cancelled.",
		"--prune would delete "+numbers+", which needs confirmation, and there is no terminal: use --yes")
	if err == nil && !sure {
		p.Say("nothing was changed")
	}
	return sure, err
}

// numbered says how many of the stored resources of each kind are deleted: `2 of 5 recipients, 1 of 1 appliances`.
func numbered(deletions, stored map[string]int) string {
	var parts []string
	for _, kind := range []string{kindRecipient, kindAppliance, kindCustomField, kindEventType} {
		if n := deletions[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d %ss", n, stored[kind], kind))
		}
	}
	return strings.Join(parts, ", ")
}
