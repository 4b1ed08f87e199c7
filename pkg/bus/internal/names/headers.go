package names

import "github.com/nats-io/nats.go"

// Headers of messages in EVENTS.
const (
	HeaderMsgID  = nats.MsgIdHdr
	HeaderReplay = "Outbound-Replay"
	HeaderTest   = "Outbound-Test"
	HeaderActor  = "Outbound-Actor"
	// HeaderAppliance and HeaderType are who published an event and its type in the catalogue, where the event names others.
	HeaderAppliance = "Outbound-Appliance"
	HeaderType      = "Outbound-Type"
	// HeaderSelection holds a change of what a recipient selects.
	HeaderSelection = "Outbound-Selection"
	// headerExpedite marks a replay that somebody waits for.
	HeaderExpedite = "Outbound-Expedite"
)
