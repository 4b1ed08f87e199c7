package delivery

// Reason says in a word why a verdict is what it is. It is the same word in logs, metrics, traces, records and the console.
type Reason string

// The reasons.
const (
	// ReasonOK is a delivery's success.
	ReasonOK Reason = "ok"

	// Why an attempt failed.
	ReasonHTTPStatus      Reason = "http_status"
	ReasonRedirect        Reason = "redirect_refused"
	ReasonGone            Reason = "gone"
	ReasonDNS             Reason = "dns"
	ReasonEgress          Reason = "egress_forbidden"
	ReasonConnect         Reason = "connect"
	ReasonTLS             Reason = "tls"
	ReasonProxy           Reason = "proxy"
	ReasonTimeout         Reason = "timeout"
	ReasonConnectionCut   Reason = "connection_cut"
	ReasonProtocol        Reason = "protocol"
	ReasonAuth            Reason = "auth"
	ReasonRender          Reason = "render"
	ReasonSMTPDeferred    Reason = "smtp_deferred"
	ReasonSMTPRefused     Reason = "smtp_refused"
	ReasonRelayUnset      Reason = "relay_unset"
	ReasonPartlyDelivered Reason = "partly_delivered"

	// Why nothing was sent.
	ReasonExpired       Reason = "retry_duration_ended"
	ReasonTypeUnwanted  Reason = "event_type_not_selected"
	ReasonApplianceOut  Reason = "appliance_not_selected"
	ReasonNoExternalKey Reason = "no_external_key"
	ReasonFilterFalse   Reason = "filter_false"
	ReasonFilterError   Reason = "filter_error"
	ReasonDisabled      Reason = "disabled"
	ReasonDeleted       Reason = "recipient_deleted"
	ReasonUnreadable    Reason = "unreadable"
	// ReasonPurged is that an operator emptied the recipient's queue, ReasonCancelled that one cancelled this delivery,
	// ReasonBacklog that the queue was so old that it kept EVENTS from being purged.
	ReasonPurged    Reason = "queue_purged"
	ReasonCancelled Reason = "cancelled_by_hand"
	ReasonBacklog   Reason = "backlog"

	// What was done by hand to a delivery that goes on.
	ReasonSendNow  Reason = "send_now"
	ReasonExtended Reason = "extended"

	// Why it was put off.
	ReasonNotDue    Reason = "not_due"
	ReasonNoSlot    Reason = "no_slot"
	ReasonRateLimit Reason = "rate_limit"
	ReasonBreaker   Reason = "breaker_open"
	ReasonShutdown  Reason = "shutdown"
	ReasonUnknown   Reason = "recipient_unknown"
	ReasonNoRecord  Reason = "not_recorded"
	// ReasonConfigBehind is that it is not known yet whether the recipient was changed before the event was accepted.
	ReasonConfigBehind Reason = "configuration_behind"
)

// OperatorChange reports whether a record with this reason tells of what somebody did to a delivery, not of an attempt.
func (r Reason) OperatorChange() bool {
	switch r {
	case ReasonSendNow, ReasonExtended, ReasonCancelled, ReasonPurged:
		return true
	default:
		return false
	}
}
