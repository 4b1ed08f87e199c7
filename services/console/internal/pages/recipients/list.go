package recipients

import (
	"github.com/outbound-events/outbound/services/console/internal/plot"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func showOverview(r *web.Request) error {
	f, err := collect(r.Context(), r.API)
	if err != nil {
		return err
	}
	b := newOverview(f, viewOf(r.URL.Query()))
	if !b.Empty() {
		b.Plots = plot.Of(r, "")
	}
	if r.Part() && r.Header.Get("HX-Target") == "overview" {
		return r.RenderPart("list", "overview", b)
	}
	return r.Render("list", b)
}
