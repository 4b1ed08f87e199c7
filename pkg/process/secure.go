package process

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// lookupTimeout bounds the question where a name of a listen address is.
const lookupTimeout = 2 * time.Second

// Exposed reports whether other hosts can reach a listener at an address, host:port: whether it is not on loopback alone. What can't be
// resolved counts as exposed.
func Exposed(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return !ip.Unmap().IsLoopback()
	}
	if host == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(all) == 0 {
		return host != "localhost" // RFC 6761, 6.3
	}
	for _, ip := range all {
		if !ip.Unmap().IsLoopback() {
			return true
		}
	}
	return false
}

// Transport is how the listeners of a process are protected.
type Transport struct {
	// TLS says that they speak it.
	TLS bool
	// Insecure says that plain text was asked for.
	Insecure bool
	// Remedy says how TLS is turned on, as a clause.
	Remedy string
}

// Check refuses an address that other hosts can reach in plain text, unless that was asked for.
func (t Transport) Check(address string) error {
	if t.TLS || t.Insecure || !Exposed(address) {
		return nil
	}
	return fmt.Errorf("%s can be reached by other hosts, and there is no TLS: %s, listen on 127.0.0.1, or use --insecure to have tokens "+
		"and events sent in plain text", address, t.Remedy)
}
