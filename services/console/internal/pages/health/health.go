// Package health serves the health page: streams, disk, queues, processes, expiring secrets and appliances.
package health

import (
	"cmp"
	"embed"
	"io/fs"
	"slices"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/plot"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the page.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/health", show)
	a.GET("/part/plots", plot.Show)
	return nil
}

// longest is the number of queues that are shown.
const longest = 20

type page struct {
	*outboundv1.Status
	// Queues are the recipients with queued events, the longest queue first; More is the number of the others.
	Queues []*outboundv1.RecipientStatus
	More   int
	Plots  *plot.Section
	// Range is the range of the plots, if it is not the default.
	Range string
}

// DiskPercent is the usage of the stream limits.
func (p page) DiskPercent() int64 {
	d := p.GetDisk()
	if d.GetLimitBytes() == 0 {
		return 0
	}
	return int64(d.GetUsedBytes() * 100 / d.GetLimitBytes())
}

// Tight reports whether the free disk space is smaller than the growth limit of the streams.
func (p page) Tight() bool {
	d := p.GetDisk()
	return d.GetFreeKnown() && d.GetLimitBytes() > d.GetUsedBytes() && d.GetFreeBytes() < d.GetLimitBytes()-d.GetUsedBytes()
}

// ResourcePage returns the page of a resource.
func (page) ResourcePage(resource string) string {
	switch {
	case len(resource) > 11 && resource[:11] == "recipients/":
		return "/recipients/" + resource[11:]
	case resource == "settings/smtp":
		return "/settings/relay"
	case len(resource) > 7 && resource[:7] == "tokens/":
		return "/settings/tokens"
	default:
		return "/settings/changes"
	}
}

func show(r *web.Request) error {
	s, err := r.API.Status.GetStatus(r.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		return err
	}
	p := page{Status: s, Range: plot.Range(r.URL.Query())}
	if !r.Part() {
		p.Plots = plot.Of(r, "")
	}
	for _, x := range s.GetRecipients() {
		if x.GetQueuedEvents() > 0 {
			p.Queues = append(p.Queues, x)
		}
	}
	slices.SortFunc(p.Queues, func(a, b *outboundv1.RecipientStatus) int {
		return cmp.Or(cmp.Compare(b.GetQueuedEvents(), a.GetQueuedEvents()), cmp.Compare(a.GetRecipientId(), b.GetRecipientId()))
	})
	if n := len(p.Queues); n > longest {
		p.Queues, p.More = p.Queues[:longest], n-longest
	}
	return r.Render("health", p)
}
