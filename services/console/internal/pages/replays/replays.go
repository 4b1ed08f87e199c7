// Package replays serves the pages of replays and backfills: the preview, the progress and the list.
package replays

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the pages of the area. Viewers read; operators start and cancel replays.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/replays", showReplays)
	a.GET("/part/replays", showReplaysPart)
	a.Page("/replays/new", rpc.RoleOperator, newReplay)
	a.POST("/replays", rpc.RoleOperator, create)
	a.GET("/replays/{id}", showReplay)
	a.GET("/part/replays/{id}", showReplayPart)
	a.POST("/replays/{id}/cancel", rpc.RoleOperator, cancel)
	return nil
}
