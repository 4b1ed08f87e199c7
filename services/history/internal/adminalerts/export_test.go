package adminalerts

import (
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// SilenceDue decides what is to be done about an appliance whose alert has a state.
func SilenceDue(e status.LastEvent, state health.AlertState, now time.Time) (v silenceVerdict, of string) {
	return silenceDue(e, alert{AlertState: state}, now)
}

// The verdicts.
const (
	LeaveSilence     = leaveSilence
	NotifySilent     = notifySilent
	NotifyHeardAgain = notifyHeardAgain
	ForgetSilence    = forgetSilence
)
