// Package replays are the pages of sending much again: what would be sent, how far it is, and the end of it.
package replays

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the area's pages. Everybody may look; operators start and cancel replays.
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
