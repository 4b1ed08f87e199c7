// Package settings serves the pages of settings: the email relay, custom fields, event types, appliances, users, API tokens and the
// list of changes.
package settings

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the pages of the area. Viewers read what contains no secrets; only admins change it.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/settings", func(r *web.Request) error { return r.Redirect("/settings/relay") })
	a.GET("/settings/relay", showRelay)
	a.POST("/settings/relay", rpc.RoleAdmin, saveRelay)
	a.POST("/settings/relay/test", rpc.RoleAdmin, testRelay)
	a.POST("/settings/email", rpc.RoleAdmin, saveEmail)
	a.GET("/settings/fields", showFields)
	a.POST("/settings/fields", rpc.RoleAdmin, addField)
	a.POST("/settings/fields/{code}", rpc.RoleAdmin, renameField)
	a.POST("/settings/fields/{code}/delete", rpc.RoleAdmin, deleteField)
	a.GET("/settings/types", showTypes)
	a.Page("/settings/types/new", rpc.RoleAdmin, newType)
	a.GET("/settings/types/{id}", showType)
	a.POST("/settings/types", rpc.RoleAdmin, addType)
	a.POST("/settings/types/{id}", rpc.RoleAdmin, saveType)
	a.POST("/settings/types/{id}/delete", rpc.RoleAdmin, deleteType)
	a.GET("/settings/appliances", showAppliances)
	a.POST("/settings/appliances", rpc.RoleAdmin, addAppliance)
	a.GET("/settings/appliances/{id}", showAppliance)
	a.POST("/settings/appliances/{id}", rpc.RoleAdmin, saveAppliance)
	a.POST("/settings/appliances/{id}/rotate", rpc.RoleAdmin, rotateAppliance)
	a.POST("/settings/appliances/{id}/delete", rpc.RoleAdmin, deleteAppliance)
	a.Page("/settings/users", rpc.RoleAdmin, showUsers)
	a.POST("/settings/users", rpc.RoleAdmin, addUser)
	a.Page("/settings/users/{name}", rpc.RoleAdmin, showUser)
	a.POST("/settings/users/{name}", rpc.RoleAdmin, saveUser)
	a.POST("/settings/users/{name}/delete", rpc.RoleAdmin, deleteUser)
	a.Page("/settings/tokens", rpc.RoleAdmin, showTokens)
	a.POST("/settings/tokens", rpc.RoleAdmin, addToken)
	a.POST("/settings/tokens/{id}/delete", rpc.RoleAdmin, deleteToken)
	a.GET("/settings/changes", showChanges)
	a.Page("/settings/audit", rpc.RoleAdmin, showAudit)
	a.POST("/settings/changes/roll-back", rpc.RoleAdmin, rollBack)
	return nil
}

// renderInvalid shows a form with its faults.
func renderInvalid(r *web.Request, show func(*web.Request, *web.Form) error, form *web.Form) error {
	r.Status(http.StatusUnprocessableEntity)
	return show(r, form)
}

// finish redirects to a page after a change, with a message or with the faults of the request. It returns any other error.
func finish(r *web.Request, err error, message, path string) error {
	form := &web.Form{}
	switch {
	case err == nil:
		r.Flash(web.Good, message)
	case form.Refused(err):
		r.Flash(web.Bad, words(form))
	default:
		return err
	}
	return r.Redirect(path)
}

// words returns the faults of a form in one line.
func words(f *web.Form) string {
	text := f.Notice
	for _, x := range f.Faults {
		if text != "" {
			text += " "
		}
		text += web.PlainWords(x.Field) + ": " + x.Text
	}
	if f.Conflict {
		text = "Someone else changed this in the meantime. Review the current version, then try again."
	}
	return text
}
