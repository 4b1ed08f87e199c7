package settings

import (
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func typeFields() []string { return []string{"id", "displayName", "product", "email", "etag"} }

type typesPage struct {
	Types []*outboundv1.EventType
}

func showTypes(r *web.Request) error {
	answer, err := r.API.Settings.ListEventTypes(r.Context(), &outboundv1.ListEventTypesRequest{})
	if err != nil {
		return err
	}
	return r.Render("types", typesPage{Types: answer.GetEventTypes()})
}

type typePage struct {
	Form *web.Form
	// Type is the stored event type; nil for a new one.
	Type *outboundv1.EventType
}

func newType(r *web.Request) error { return r.Render("type", typePage{Form: web.NewForm(nil)}) }

func showType(r *web.Request) error { return renderType(r, nil) }

func renderType(r *web.Request, form *web.Form) error {
	t, err := r.API.Settings.GetEventType(r.Context(), &outboundv1.GetEventTypeRequest{Id: r.PathValue("id")})
	if err != nil {
		return err
	}
	if form == nil {
		form = web.NewForm(nil)
		if err := form.Show(t, typeFields()...); err != nil {
			return err
		}
		form.Set("variables", variableLines(t.GetVariables()))
		form.Set("aliases", strings.Join(t.GetAliases(), "\n"))
	}
	return r.Render("type", typePage{Form: form, Type: t})
}

// variableLines formats variables as lines of name, description and example, separated by bars.
func variableLines(vs []*outboundv1.Variable) string {
	lines := make([]string, 0, len(vs))
	for _, v := range vs {
		lines = append(lines, strings.TrimRight(v.GetName()+" | "+v.GetDescription()+" | "+v.GetExample(), " |"))
	}
	return strings.Join(lines, "\n")
}

func readVariables(text string) []*outboundv1.Variable {
	var out []*outboundv1.Variable
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), "|", 3)
		if parts[0] == "" && len(parts) == 1 {
			continue
		}
		v := &outboundv1.Variable{Name: strings.TrimSpace(parts[0])}
		if len(parts) > 1 {
			v.Description = strings.TrimSpace(parts[1])
		}
		if len(parts) > 2 {
			v.Example = strings.TrimSpace(parts[2])
		}
		out = append(out, v)
	}
	return out
}

func typed(form *web.Form) (*outboundv1.EventType, error) {
	t := &outboundv1.EventType{}
	err := form.Read(t, typeFields()...)
	t.Variables = readVariables(form.Raw("variables"))
	for line := range strings.Lines(form.Raw("aliases")) {
		if alias := strings.TrimSpace(line); alias != "" {
			t.Aliases = append(t.Aliases, alias)
		}
	}
	return t, err
}

func addType(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	t, err := typed(form)
	if err != nil {
		return err
	}
	_, err = r.API.Settings.CreateEventType(r.Context(), &outboundv1.CreateEventTypeRequest{EventType: t})
	if err != nil && !form.Refused(err) {
		return err
	}
	if form.Bad() {
		return renderInvalid(r, func(r *web.Request, f *web.Form) error { return r.Render("type", typePage{Form: f}) }, form)
	}
	r.Flash(web.Good, "Event type added. Appliances can publish it and recipients can select it.")
	return r.Redirect("/settings/types")
}

func saveType(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	t, err := typed(form)
	if err != nil {
		return err
	}
	t.Id = r.PathValue("id")
	_, err = r.API.Settings.UpdateEventType(r.Context(), &outboundv1.UpdateEventTypeRequest{EventType: t})
	if err != nil && !form.Refused(err) {
		return err
	}
	if form.Bad() {
		return renderInvalid(r, renderType, form)
	}
	r.Flash(web.Good, "Event type saved.")
	return r.Redirect(under("/settings/types", t.GetId()))
}

func deleteType(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	_, err = r.API.Settings.DeleteEventType(r.Context(), &outboundv1.DeleteEventTypeRequest{Id: r.PathValue("id"), Etag: form.Get("etag")})
	return finish(r, err, "Event type deleted.", "/settings/types")
}
