package names

import "github.com/nats-io/nats.go"

// Headers of messages in EVENTS.
const (
	HeaderMsgID  = nats.MsgIdHdr
	HeaderReplay = "Outbound-Replay"
	HeaderTest   = "Outbound-Test"
	HeaderActor  = "Outbound-Actor"
	// headerExpedite marks a replay that somebody waits for.
	HeaderExpedite = "Outbound-Expedite"
)
