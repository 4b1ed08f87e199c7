// Package recipients are the pages of who is told of which events: the list that says whether anything is wrong, and the forms
// of HTTP and email recipients with what helps to fill them in.
package recipients

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS //nolint:gochecknoglobals // embedded files must be

// Register adds the area's pages. Everybody may look; operators change recipients.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/{$}", showBoard)
	a.GET("/part/recipients/stream", streamBoard)
	a.POST("/recipients/{id}/enabled", rpc.RoleOperator, setEnabled)
	return nil
}
