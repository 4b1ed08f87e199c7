package status

import (
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// descriptions are the metrics of the status. docs/monitoring.md lists them.
type descriptions struct {
	up, processes, notices, expiry                                                               telemetry.Described
	recipients, deliveriesWaiting                                                                telemetry.Described
	waiting, oldest, failingSince, breakerOpen, maintenance                                      telemetry.Described
	lastEvent, silent, appliances, appliancesSilent                                              telemetry.Described
	streamBytes, streamBytesLimit, streamMessages, streamMessagesLimit, streamOldest, streamUsed telemetry.Described
	streamFull, diskFull, nextExpiry, expiringDeliveries                                         telemetry.Described
	relayConfigured, relayUp, relayFailingSince, relayChecked                                    telemetry.Described
}

func describe() descriptions {
	d := telemetry.Describe
	to := []string{telemetry.KeyRecipient, telemetry.KeyChannel}
	by := []string{telemetry.KeyChannel, logkey.Health}
	const stream, appliance = telemetry.KeyStream, telemetry.KeyAppliance
	return descriptions{
		up:        d("status_up", "1 while the status of recipients, streams and appliances can be read, else 0."),
		processes: d("processes", "Processes that answer, by service.", telemetry.KeyService),
		notices:   d("notices", "Notices that need attention, as outbound status shows them."),
		expiry: d("expiry_timestamp_seconds", "When a certificate, secret or token expires; the soonest 500.", logkey.Kind,
			logkey.Resource, logkey.Subject),

		recipients:        d("recipients", "Recipients by channel and health.", by...),
		deliveriesWaiting: d("deliveries_waiting", "Deliveries that wait, retries too, by channel and health of the recipient.", by...),
		waiting:           d("recipient_waiting", "Deliveries that wait for a recipient, first attempts and retries.", to...),
		oldest:            d("recipient_oldest_waiting_seconds", "Age of the oldest delivery that waits; 0: none waits.", to...),
		failingSince:      d("recipient_failing_since_timestamp_seconds", "First failed attempt since the last success; 0: not failing.", to...),
		breakerOpen:       d("recipient_breaker_open", "1 while the circuit breaker is open, else 0.", to...),
		maintenance:       d("recipient_maintenance", "1 while a maintenance window holds deliveries, else 0.", to...),

		lastEvent: d("appliance_last_event_timestamp_seconds", "When an appliance's last event was accepted; 0: none is known.", appliance),
		silent:    d("appliance_silent", "1 while an appliance is silent for longer than it may be, else 0.", appliance),

		appliances:       d("appliances", "Appliances."),
		appliancesSilent: d("appliances_silent", "Appliances that are silent for longer than they may be."),

		streamBytes:         d("stream_bytes", "Bytes in a stream.", stream),
		streamBytesLimit:    d("stream_bytes_limit", "Bytes that a stream may hold.", stream),
		streamMessages:      d("stream_messages", "Messages in a stream.", stream),
		streamMessagesLimit: d("stream_messages_limit", "Messages that a stream may hold; 0: no limit.", stream),
		streamOldest:        d("stream_oldest_timestamp_seconds", "When the oldest message in a stream was stored.", stream),
		streamUsed:          d("stream_used_ratio", "Usage of the stream's limit that is nearest, 0 to 1.", stream),

		streamFull: d("stream_full_timestamp_seconds", "When a stream is full at the rate of the last hours; 0: no forecast.", stream),
		diskFull:   d("disk_full_timestamp_seconds", "When the broker's disk is full at the rate of the last hours; 0: no forecast."),
		nextExpiry: d("recipient_next_expiry_timestamp_seconds",
			"When the oldest delivery that waits for a failing recipient expires; 0: none, or not failing.", to...),
		expiringDeliveries: d("recipient_expiring_deliveries",
			"About how many deliveries to a failing recipient expire before the last full hour within the next twelve hours.", to...),

		relayConfigured:   d("relay_configured", "1 if an SMTP relay is configured, else 0."),
		relayUp:           d("relay_up", "1 while the SMTP relay accepts email, as far as is known, else 0."),
		relayFailingSince: d("relay_failing_since_timestamp_seconds", "Since when the SMTP relay has been failing; 0: it is not."),
		relayChecked:      d("relay_checked_timestamp_seconds", "When the SMTP relay was last checked, by a probe or an email."),
	}
}
