package adminalerts

import (
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// SilenceDue decides what is to be done about an appliance whose alert has a state.
func SilenceDue(e status.LastEvent, state health.AlertState, now time.Time) (verdict int, of string) {
	v, of := silenceDue(e, alert{AlertState: state}, now)
	return int(v), of
}

// The verdicts.
const (
	LeaveSilence     = int(leaveSilence)
	NotifySilent     = int(notifySilent)
	NotifyHeardAgain = int(notifyHeardAgain)
	ForgetSilence    = int(forgetSilence)
)
