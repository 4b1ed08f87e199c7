// Package presets serves the pages that make a recipient for a well-known service from a preset.
package presets

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/recipient/preset"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the pages of the area. They are for operators, who create recipients.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.Page("/presets", rpc.RoleOperator, func(r *web.Request) error { return r.Render("list", preset.All()) })
	a.Page("/presets/{name}", rpc.RoleOperator, show)
	a.POST("/presets/{name}", rpc.RoleOperator, create)
	return nil
}

// fieldPrefix precedes the names of the fields of a preset in the form.
const fieldPrefix = "preset."

// page is the form of a preset.
type page struct {
	Preset preset.Preset
	Form   *web.Form
	// Types are the event types.
	Types []web.Option
}

// Inputs are the fields of the preset as they are asked for.
func (p page) Inputs() []input {
	out := make([]input, len(p.Preset.Fields))
	for i, f := range p.Preset.Fields {
		out[i] = input{Field: f, Path: fieldPrefix + f.Name, Type: "text"}
		switch {
		case f.Secret:
			out[i].Type = "password"
		case f.URL:
			out[i].Type = "url"
		case len(f.Choices) > 0 && len(f.Choices) <= mostOptions:
			out[i].Type = "select"
		}
		for _, c := range f.Choices {
			out[i].Options = append(out[i].Options, web.Option{Value: c, Label: c})
		}
	}
	return out
}

// mostOptions is how many values are offered in a list.
const mostOptions = 20

// input is a field of a preset.
type input struct {
	preset.Field
	Path, Type string
	Options    []web.Option
}

// Required reports whether it must be filled in.
func (i input) Required() bool { return !i.Optional && i.Default == "" }

func find(r *web.Request) (page, error) {
	p, err := preset.Find(r.PathValue("name"))
	if err != nil {
		return page{}, web.Fail(http.StatusNotFound, "No such preset", err.Error())
	}
	out := page{Preset: p}
	catalogue, err := r.API.Settings.ListEventTypes(r.Context(), &outboundv1.ListEventTypesRequest{})
	for _, t := range catalogue.GetEventTypes() {
		out.Types = append(out.Types, web.Option{Value: t.GetId(), Label: t.GetDisplayName()})
	}
	return out, err
}

func show(r *web.Request) error {
	p, err := find(r)
	if err != nil {
		return err
	}
	p.Form = web.NewForm(map[string]string{"displayName": p.Preset.Title})
	for _, f := range p.Preset.Fields {
		p.Form.Set(fieldPrefix+f.Name, f.Default)
	}
	return r.Render("form", p)
}

// create makes the recipient, disabled, so that it can be previewed and tested first.
func create(r *web.Request) error {
	p, err := find(r)
	if err != nil {
		return err
	}
	if p.Form, err = r.Input(); err != nil {
		return err
	}
	wanted, err := read(p)
	if err != nil {
		return err
	}
	if !p.Form.Bad() {
		made, err := r.API.Recipients.CreateRecipient(r.Context(), &outboundv1.CreateRecipientRequest{Recipient: wanted})
		if err == nil {
			r.Flash(web.Good, made.GetDisplayName()+" is created and disabled. Preview and test it, then enable it.")
			return r.Redirect("/recipients/" + made.GetId())
		}
		if !p.Form.Refused(err) {
			return err
		}
	}
	r.Status(http.StatusUnprocessableEntity)
	return r.Render("form", p)
}

// read returns the recipient of a form. It adds invalid values as faults to the form.
func read(p page) (*outboundv1.Recipient, error) {
	values := map[string]string{}
	for _, f := range p.Preset.Fields {
		values[f.Name] = p.Form.Get(fieldPrefix + f.Name)
	}
	h, err := p.Preset.HTTP(values)
	if err != nil {
		var faults interface{ Unwrap() []error }
		if !errors.As(err, &faults) {
			return nil, err
		}
		for _, x := range faults.Unwrap() {
			var f *preset.FieldError
			if errors.As(x, &f) {
				p.Form.Add(fieldPrefix+f.Field, f.Text)
			}
		}
		return nil, nil
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode the preset %s: %w", p.Preset.Name, err)
	}
	target := &outboundv1.HttpRecipient{}
	if err := protojson.Unmarshal(raw, target); err != nil {
		return nil, fmt.Errorf("read the preset %s: %w", p.Preset.Name, err)
	}
	return &outboundv1.Recipient{
		DisplayName: p.Form.Get("displayName"), Enabled: proto.Bool(false), EventTypes: slices.Clone(p.Form.All("eventTypes")),
		Channel: &outboundv1.Recipient_Http{Http: target},
	}, nil
}
