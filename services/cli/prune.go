package cli

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Display names of the kinds of resources that a file can list.
const (
	kindEventType   = "event type"
	kindCustomField = "custom field"
	kindAppliance   = "appliance"
	kindRecipient   = "recipient"
)

// leftover is something that is there.
type leftover struct{ id, etag, path string }

// leftovers returns steps that delete stored resources that the files do not mention, of the declared kinds. Recipients go first: a type
// that one selects can't be deleted.
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
		for _, one := range there {
			if !slices.ContainsFunc(planned, func(s *step) bool { return s.kind == x.kind && s.id == one.id }) {
				steps = append(steps, p.deletion(x.kind, one))
			}
		}
	}
	return steps, nil
}

// deletion deletes a resource at the etag that was read: a concurrent change is a conflict.
func (p *planner) deletion(kind string, l leftover) *step {
	return &step{
		Action: actionDelete, Resource: kind + " " + l.id, kind: kind, id: l.id, where: "--prune", planned: plannedDeletion(kind, l),
		do: func(ctx context.Context, _ *step) error {
			return p.client.call(ctx, http.MethodDelete, l.path+"?"+url.Values{"etag": {l.etag}}.Encode(), nil, nil)
		},
	}
}

func (p *planner) thereRecipients(ctx context.Context) ([]leftover, error) {
	all, err := p.client.allRecipients(ctx)
	if err != nil {
		return nil, err
	}
	var out []leftover
	for _, r := range all.GetRecipients() {
		if r.GetDeleteTime() == nil {
			out = append(out, leftover{r.GetId(), r.GetEtag(), recipientPath(r.GetId())})
		}
	}
	return out, nil
}

func (p *planner) thereAppliances(ctx context.Context) ([]leftover, error) {
	all := &outboundv1.ListAppliancesResponse{}
	if err := p.client.call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
		return nil, err
	}
	var out []leftover
	for _, x := range all.GetAppliances() {
		out = append(out, leftover{x.GetId(), x.GetEtag(), appliancePath(x.GetId())})
	}
	return out, nil
}

func (p *planner) thereCustomFields(ctx context.Context) ([]leftover, error) {
	all := &outboundv1.ListCustomFieldsResponse{}
	if err := p.client.call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
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
	if err := p.client.call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
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

// askToDelete lists what would be deleted and has a person agree. Nothing is asked where nothing is deleted.
func (p *application) askToDelete(steps []*step) (bool, error) {
	var doomed []string
	for _, s := range steps {
		if s.Action == actionDelete {
			doomed = append(doomed, s.Resource)
		}
	}
	if len(doomed) == 0 || p.dryRun || p.yes {
		return true, nil
	}
	if p.output != "table" {
		return false, usage("--prune with -o %s needs --yes", p.output)
	}
	p.say("not in the files, will be deleted:")
	for _, d := range doomed {
		p.say("  %s", d)
	}
	if slices.Contains(p.files, "-") {
		return false, usage("--prune needs confirmation and standard input is in use: use --yes")
	}
	sure, err := p.agree("Delete them?", "--prune needs confirmation and there is no terminal: use --yes")
	if err == nil && !sure {
		p.say("nothing was changed")
	}
	return sure, err
}

// agree asks for confirmation. Without a terminal it fails and says what to do.
func (a *app) agree(question, nobody string) (bool, error) {
	if _, err := fmt.Fprint(a.Out, clean(question), " yes or no: "); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && line == "" {
		return false, usage("%s", nobody)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "yes" || answer == "y", nil
}
