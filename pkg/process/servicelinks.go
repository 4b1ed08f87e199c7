package process

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// isServiceLink reports whether a variable is one that Kubernetes sets in every container for a Service of the namespace, in the format of
// Docker links (Kubernetes, Service, environment variables): for the Service `outbound-config` they begin with OUTBOUND_CONFIG. Name and
// value must both be of such a one, so that nobody's option is passed over.
func isServiceLink(name, value string) bool {
	words := strings.Split(name, "_")
	if host, is := strings.CutSuffix(name, "_SERVICE_HOST"); is {
		_, err := netip.ParseAddr(value)
		return host != "" && err == nil
	}
	if i := slices.Index(words, "SERVICE"); i > 0 && i+1 < len(words) && words[i+1] == "PORT" {
		return isPort(value) // …_SERVICE_PORT, …_SERVICE_PORT_HTTPS
	}
	i := lastIndex(words, "PORT")
	if i > 0 && i == len(words)-1 && len(words) > 3 && isProtocol(words[i-1]) && isPort(words[i-2]) {
		return isPort(value) // …_PORT_443_TCP_PORT
	}
	if i < 1 {
		return false
	}
	switch rest := words[i+1:]; {
	case len(rest) == 0:
		return isLink(value) // …_PORT
	case len(rest) < 2 || !isPort(rest[0]) || !isProtocol(rest[1]):
		return false
	case len(rest) == 2:
		return isLink(value) // …_PORT_443_TCP
	case len(rest) == 3 && rest[2] == "ADDR":
		_, err := netip.ParseAddr(value)
		return err == nil
	default:
		return len(rest) == 3 && rest[2] == "PROTO" && isProtocol(value)
	}
}

func lastIndex(words []string, word string) int {
	for i, w := range slices.Backward(words) {
		if w == word {
			return i
		}
	}
	return -1
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func isProtocol(s string) bool {
	return slices.Contains([]string{"tcp", "udp", "sctp"}, strings.ToLower(s))
}

// isLink reports whether a value is as in tcp://10.0.0.1:443.
func isLink(value string) bool {
	protocol, address, found := strings.Cut(value, "://")
	_, err := netip.ParseAddrPort(address)
	return found && err == nil && isProtocol(protocol)
}
