package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ownService is an address that one of our own services listens on.
type ownService struct {
	// text is how it was given.
	text string
	port uint16
	// addr is invalid if the service has a name; unspecified if it listens on every address of this machine.
	addr netip.Addr
	name string
}

func parseOwn(text string) (ownService, error) {
	host, portText, err := net.SplitHostPort(text)
	if err != nil {
		return ownService{}, fmt.Errorf("address of an Outbound service %q: use the form 127.0.0.1:4222: %w", text, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return ownService{}, fmt.Errorf("address of an Outbound service %q: the port must be a number from 1 to 65535", text)
	}
	o := ownService{text: text, port: uint16(port)}
	if host == "" {
		o.addr = netip.IPv4Unspecified()
	} else if a, err := netip.ParseAddr(host); err == nil {
		o.addr = a.Unmap()
	} else {
		o.name = strings.TrimSuffix(host, ".")
	}
	return o, nil
}

// covers says why dialling addr at port would reach the service; empty if it would not. What cannot be known counts as reaching it.
func (o ownService) covers(ctx context.Context, addr netip.Addr, port uint16) string {
	if port != o.port {
		return ""
	}
	const ours = "it is an Outbound service"
	switch {
	case o.name != "":
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", o.name)
		var dns *net.DNSError
		if err != nil && (!errors.As(err, &dns) || !dns.IsNotFound) {
			return "it may be an Outbound service: " + o.text + " can't be resolved"
		}
		if slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == addr }) {
			return ours
		}
	case o.addr.IsUnspecified():
		local, err := localAddr(addr)
		if err != nil {
			return "it may be an Outbound service: " + err.Error()
		}
		if local {
			return ours
		}
	case o.addr == addr:
		return ours
	}
	return ""
}

// localAddr reports whether addr is an address of this machine.
func localAddr(addr netip.Addr) (bool, error) {
	if addr.IsLoopback() {
		return true, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		found, ok := netip.AddrFromSlice(n.IP)
		return ok && found.Unmap() == addr
	}), nil
}
