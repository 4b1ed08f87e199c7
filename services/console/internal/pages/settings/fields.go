package settings

import (
	"net/url"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func customFieldFields() []string { return []string{"displayName", "codeName"} }

type fieldsPage struct {
	Form   *web.Form
	Fields []*outboundv1.CustomField
}

func showFields(r *web.Request) error { return renderFields(r, &web.Form{}) }

func renderFields(r *web.Request, form *web.Form) error {
	answer, err := r.API.Settings.ListCustomFields(r.Context(), &outboundv1.ListCustomFieldsRequest{})
	if err != nil {
		return err
	}
	return r.Render("fields", fieldsPage{Form: form, Fields: answer.GetCustomFields()})
}

func addField(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	f := &outboundv1.CustomField{}
	if err := form.Read(f, customFieldFields()...); err != nil {
		return err
	}
	_, err = r.API.Settings.CreateCustomField(r.Context(), &outboundv1.CreateCustomFieldRequest{CustomField: f})
	if err != nil && !form.Refused(err) {
		return err
	}
	if form.Bad() {
		return renderInvalid(r, renderFields, form)
	}
	r.Flash(web.Good, "Field added. Recipients that send custom fields include it from now on.")
	return r.Redirect("/settings/fields")
}

func renameField(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	f := &outboundv1.CustomField{CodeName: r.PathValue("code"), DisplayName: form.Get("displayName"), Etag: form.Get("etag")}
	_, err = r.API.Settings.UpdateCustomField(r.Context(), &outboundv1.UpdateCustomFieldRequest{CustomField: f})
	return finish(r, err, "Field renamed.", "/settings/fields")
}

func deleteField(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	_, err = r.API.Settings.DeleteCustomField(r.Context(),
		&outboundv1.DeleteCustomFieldRequest{CodeName: r.PathValue("code"), Etag: form.Get("etag")})
	return finish(r, err, "Field deleted. Its values are no longer sent.", "/settings/fields")
}

// under returns the path of an element of a page.
func under(path, name string) string { return path + "/" + url.PathEscape(name) }
