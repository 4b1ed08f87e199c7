// Package reasons names why a verdict is what it is.
package reasons

// Reason says in a word why a verdict is what it is. It is the same word in logs, metrics, traces, records and the console.
type Reason string

// The reasons.
const (
	// OK is a delivery's success.
	OK Reason = "ok"
	// Pulled is that the receiver has pulled the delivery and acknowledged it.
	Pulled Reason = "pulled"

	// Why an attempt failed.
	HTTPStatus      Reason = "http_status"
	Redirect        Reason = "redirect_refused"
	Gone            Reason = "gone"
	DNS             Reason = "dns"
	Egress          Reason = "egress_forbidden"
	Connect         Reason = "connect"
	TLS             Reason = "tls"
	Proxy           Reason = "proxy"
	Timeout         Reason = "timeout"
	ConnectionCut   Reason = "connection_cut"
	Protocol        Reason = "protocol"
	Auth            Reason = "auth"
	Render          Reason = "render"
	SMTPDeferred    Reason = "smtp_deferred"
	SMTPRefused     Reason = "smtp_refused"
	RelayUnset      Reason = "relay_unset"
	PartlyDelivered Reason = "partly_delivered"

	// Why nothing was sent.
	Expired       Reason = "retry_duration_ended"
	TypeUnwanted  Reason = "event_type_not_selected"
	ApplianceOut  Reason = "appliance_not_selected"
	NoExternalKey Reason = "no_external_key"
	FilterFalse   Reason = "filter_false"
	FilterError   Reason = "filter_error"
	Disabled      Reason = "disabled"
	Deleted       Reason = "recipient_deleted"
	Unreadable    Reason = "unreadable"
	// Purged is that an operator emptied the recipient's queue, Cancelled that one cancelled this delivery,
	// Backlog that the queue was so old that it kept EVENTS from being purged.
	Purged    Reason = "queue_purged"
	Cancelled Reason = "cancelled_by_hand"
	Backlog   Reason = "backlog"
	// EventLost is that the broker's store has lost the event, RecipientLost that it has lost the recipient.
	// No verdict has them: a repair of the store does, pkg/bus/storecheck.
	EventLost     Reason = "event_lost"
	RecipientLost Reason = "recipient_lost"

	// What was done by hand to a delivery that goes on.
	SendNow  Reason = "send_now"
	Extended Reason = "extended"

	// Why it was put off.
	NotDue    Reason = "not_due"
	NoSlot    Reason = "no_slot"
	RateLimit Reason = "rate_limit"
	Breaker   Reason = "breaker_open"
	// Maintenance is that a maintenance window of the recipient is open.
	Maintenance Reason = "maintenance"
	Shutdown    Reason = "shutdown"
	Unknown     Reason = "recipient_unknown"
	NoRecord    Reason = "not_recorded"
	// ConfigBehind is that it is not known yet whether the recipient was changed before the event was accepted.
	ConfigBehind Reason = "configuration_behind"
	// NoNumber is that the delivery's number among those of its recipient is not known yet.
	NoNumber Reason = "not_numbered"
	// Overdue is that this sender had the message for longer than the broker waits, so that another may have it.
	Overdue Reason = "overdue"
)

// OperatorChange reports whether a record with this reason tells of what somebody did to a delivery, not of an attempt.
func (r Reason) OperatorChange() bool {
	switch r {
	case SendNow, Extended, Cancelled, Purged:
		return true
	default:
		return false
	}
}
