// Package events are the pages of what came in: the events that were taken, each with its way through the system, and those that
// were refused.
package events

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the area's pages. Everybody may look; operators send events on.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/events", showEvents)
	a.GET("/rejected", showRejected)
	a.GET("/events/{id}", showEvent)
	a.POST("/events/{id}/send", rpc.RoleOperator, send)
	return nil
}
