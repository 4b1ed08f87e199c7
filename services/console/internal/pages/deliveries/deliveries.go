// Package deliveries serves the pages of deliveries: the list with its filters and live tail, a delivery with its attempts, and the
// actions of operators.
package deliveries

import (
	"embed"
	"io/fs"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed all:templates
var templates embed.FS

// Register adds the pages of the area. Viewers read; operators change deliveries.
func Register(s *web.Site) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	a.GET("/deliveries", showList)
	a.GET("/part/deliveries/tail", tail)
	a.GET("/deliveries/{recipient}/{event}", showDelivery)
	a.POST("/deliveries/ask", rpc.RoleOperator, ask)
	a.POST("/deliveries/retry", rpc.RoleOperator, retry)
	a.POST("/deliveries/send-now", rpc.RoleOperator, sendNow)
	a.POST("/deliveries/extend", rpc.RoleOperator, extend)
	a.POST("/deliveries/cancel", rpc.RoleOperator, cancel)
	return nil
}
