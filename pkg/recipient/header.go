package recipient

import (
	"fmt"
	"strings"
)

// CheckHeader reports why a recipient may not set a request header of its own by this name, or nil.
func CheckHeader(name string) error {
	if err := checkReserved(name); err != nil {
		return err
	}
	if strings.EqualFold(name, "Authorization") {
		return fmt.Errorf("%s is set from http.auth: put the secret there, where it is write-only", name)
	}
	return nil
}

// CheckAuthHeader reports why a secret may not be sent in a header by this name, or nil. Authorization is allowed here.
func CheckAuthHeader(name string) error { return checkReserved(name) }

func checkReserved(name string) error {
	lower := strings.ToLower(name)
	for _, prefix := range []string{"webhook-", "proxy-", "sec-"} {
		if strings.HasPrefix(lower, prefix) {
			return fmt.Errorf("%s is reserved, as are all headers starting with %s", name, prefix)
		}
	}
	switch lower {
	case "host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "te",
		"trailer", "upgrade", "expect", "user-agent", "accept-encoding", "traceparent", "tracestate", "date":
		return fmt.Errorf("%s is set by Outbound or by HTTP itself: choose another header", name)
	case "outbound-sequence", "outbound-previous", "outbound-replay":
		return fmt.Errorf("%s numbers deliveries: choose another header", name)
	case "outbound-test":
		return fmt.Errorf("%s marks test events: choose another header", name)
	case "idempotency-key", "x-idempotency-key":
		// net/http takes it for leave to send a POST again by itself: attempts that no record would show.
		return fmt.Errorf("%s is not allowed: use webhook-id, which is the same for every attempt", name)
	default:
		return nil
	}
}
