package settings

import (
	"strconv"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// changesShown is the page size.
const changesShown = 30

type changesPage struct {
	Revisions []*outboundv1.Revision
	Resource  string
	// Next is the address of the next page, First that of the first page on later pages.
	Next, First string
}

func showChanges(r *web.Request) error {
	q := r.URL.Query()
	resource, token := q.Get("resource"), q.Get("page")
	answer, err := r.API.Settings.ListRevisions(r.Context(),
		&outboundv1.ListRevisionsRequest{Resource: resource, PageToken: token, PageSize: changesShown})
	if err != nil {
		return err
	}
	p := changesPage{Revisions: answer.GetRevisions(), Resource: resource}
	if t := answer.GetNextPageToken(); t != "" {
		p.Next = web.Address("/settings/changes", "resource", resource, "page", t)
	}
	if token != "" {
		p.First = web.Address("/settings/changes", "resource", resource)
	}
	return r.Render("changes", p)
}

func rollBack(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	revision, err := strconv.ParseUint(form.Get("revision"), 10, 64)
	if err != nil {
		return web.Fail(400, "Invalid revision", "Choose a revision in the list of changes.")
	}
	resource := form.Get("resource")
	_, err = r.API.Settings.RollBack(r.Context(), &outboundv1.RollBackRequest{Resource: resource, Revision: revision})
	return finish(r, err, "Rolled back "+resource+" to revision "+form.Get("revision")+".",
		web.Address("/settings/changes", "resource", resource))
}
