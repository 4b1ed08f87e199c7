// Package recipients serves the pages of recipients: the overview with their status, and the forms of HTTP and email recipients with
// preview, filter test, macros and diagnostics.
package recipients

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the pages of the area. Viewers read; operators change recipients.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/{$}", showOverview)
	a.GET("/part/recipients/stream", streamOverview)
	a.POST("/recipients/{id}/enabled", rpc.RoleOperator, setEnabled)
	a.Page("/recipients/{id}/disable", rpc.RoleOperator, askDisable)
	a.POST("/recipients/{id}/probe", rpc.RoleOperator, probeNow)
	a.GET("/recipients/{id}", showRecipient)
	a.GET("/recipients/{id}/status", showStatus)
	a.POST("/recipients", rpc.RoleOperator, create)
	a.POST("/recipients/{id}", rpc.RoleOperator, save)
	a.POST("/recipients/{id}/rotate-secret", rpc.RoleOperator, rotate)
	a.POST("/recipients/{id}/test", rpc.RoleOperator, sendTest)
	a.GET("/recipients/{id}/test/{event}", showTest)
	a.POST("/recipients/{id}/diagnose", rpc.RoleOperator, runDiagnostics)
	a.Page("/recipients/{id}/delete", rpc.RoleOperator, confirmRemoval(false))
	a.POST("/recipients/{id}/delete", rpc.RoleOperator, remove)
	a.Page("/recipients/{id}/purge", rpc.RoleOperator, confirmRemoval(true))
	a.POST("/recipients/{id}/purge", rpc.RoleOperator, purge)
	// The form helpers change nothing, so viewers may use them.
	a.POST("/part/recipients/preview", rpc.RoleViewer, showPreview)
	a.POST("/part/recipients/filter", rpc.RoleViewer, tryFilter)
	a.POST("/part/recipients/macros", rpc.RoleViewer, showMacros)
	a.POST("/part/recipients/certificates", rpc.RoleViewer, showCertificates)
	return nil
}
