package console

import (
	"github.com/outbound-events/outbound/services/console/internal/pages/account"
	"github.com/outbound-events/outbound/services/console/internal/pages/deliveries"
	"github.com/outbound-events/outbound/services/console/internal/pages/events"
	"github.com/outbound-events/outbound/services/console/internal/pages/health"
	"github.com/outbound-events/outbound/services/console/internal/pages/presets"
	"github.com/outbound-events/outbound/services/console/internal/pages/recipients"
	"github.com/outbound-events/outbound/services/console/internal/pages/replays"
	"github.com/outbound-events/outbound/services/console/internal/pages/settings"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// addPages registers the areas of the console. See doc.go.
func addPages(s *web.Site, methods account.SignInMethods) error {
	areas := []func(*web.Site) error{
		func(s *web.Site) error { return account.Register(s, methods) },
		recipients.Register,
		presets.Register,
		deliveries.Register,
		events.Register,
		replays.Register,
		settings.Register,
		health.Register,
	}
	for _, add := range areas {
		if err := add(s); err != nil {
			return err
		}
	}
	return nil
}
