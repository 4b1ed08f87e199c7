// Package events serves the pages of events: accepted events with their routing and timeline, and invalid events.
package events

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the pages of the area. Viewers read; operators send events to recipients.
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
