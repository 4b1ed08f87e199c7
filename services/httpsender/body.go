package httpsender

import (
	"fmt"
	"net/http"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

const (
	contentTypeForm = "application/x-www-form-urlencoded; charset=utf-8"
	contentTypeJSON = "application/cloudevents+json"
)

// headerAttribute begins the headers that carry a CloudEvent's attributes in binary mode.
const headerAttribute = "Ce-"

// setBody prepares how bodies are written.
func (t *target) setBody(h *recipient.HTTPTarget) error {
	if h.BodyTemplate != "" {
		return t.setTemplate(h)
	}
	switch h.Format {
	case recipient.Form:
		t.fixed.Set(headerContentType, contentTypeForm)
	case recipient.JSON:
		t.fixed.Set(headerContentType, contentTypeJSON)
	case recipient.JSONBinary:
		t.fixed.Set(headerContentType, render.BinaryContentType)
	default:
		return fmt.Errorf("format %d is unknown to this version: upgrade the sender", h.Format)
	}
	return nil
}

func (t *target) setTemplate(h *recipient.HTTPTarget) error {
	compiled, err := render.NewBodyTemplate(h.BodyTemplate)
	if err != nil {
		return fmt.Errorf("the body template can't be read: %w", err)
	}
	if !validValue(h.BodyContentType) {
		return fmt.Errorf("the content type of the body has control characters: save the recipient again without")
	}
	t.template = compiled
	t.fixed.Set(headerContentType, h.BodyContentType)
	return nil
}

// body is what is posted, the same at every attempt, and the attributes that go beside it. It is not to be changed: it may be
// the stored event itself.
func (t *target) body(d *delivery.Delivery, customFields []string) ([]byte, []render.Attribute, error) {
	if !t.custom {
		customFields = nil
	}
	var body []byte
	var err error
	switch {
	case t.template != nil:
		if body, err = t.template.Render(d.Event, customFields); err != nil {
			err = fmt.Errorf("the body template fails: %w", err)
		}
	case t.format == recipient.JSONBinary:
		attributes, body, err := render.Binary(d.Event, customFields)
		return body, attributes, err
	case t.format == recipient.JSON:
		body, err = render.JSON(d.Event, customFields)
	default:
		body = render.Form(d.Event, customFields)
	}
	return body, nil, err
}

// addAttributes sets the headers of binary mode. They stand above headers of the recipient's own.
func addAttributes(h http.Header, attributes []render.Attribute) {
	for _, a := range attributes {
		h.Set(headerAttribute+a.Name, a.Value)
	}
}
