// Package health is the page that tells how the installation itself is: streams, disk, queues, processes, what will end.
package health

import (
	"cmp"
	"embed"
	"io/fs"
	"slices"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
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
	s.Area(files).GET("/health", show)
	return nil
}

// longest is how many queues are shown.
const longest = 20

type page struct {
	*outboundv1.Status
	// Queues are the recipients that events wait for, the longest first; More is how many are not shown.
	Queues []*outboundv1.RecipientStatus
	More   int
}

// DiskPercent is how much of the streams' bounds is used.
func (p page) DiskPercent() int64 {
	d := p.GetDisk()
	if d.GetLimitBytes() == 0 {
		return 0
	}
	return int64(d.GetUsedBytes() * 100 / d.GetLimitBytes())
}

// Tight reports whether the disk can't hold what the streams may grow to.
func (p page) Tight() bool {
	d := p.GetDisk()
	return d.GetFreeKnown() && d.GetLimitBytes() > d.GetUsedBytes() && d.GetFreeBytes() < d.GetLimitBytes()-d.GetUsedBytes()
}

// ResourcePage is where what will end is set.
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
	p := page{Status: s}
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
