package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How long one address has before the next is tried beside it (RFC 8305, 5): less where the time-out is short, so that half of it
// is left for the last.
const (
	attemptDelay    = 250 * time.Millisecond
	minAttemptDelay = 10 * time.Millisecond
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 16
)

// failed is an address that was not reached.
type failed struct {
	addr netip.Addr
	err  error
}

// raced is an attempt that has ended.
type raced struct {
	failed
	conn net.Conn
}

// dialAny connects to the first address of a name that answers. The addresses are tried one after another, each a moment after the one
// before or as soon as that fails (Happy Eyeballs, RFC 8305): one that is dead costs a moment, not the time-out. Every error is a
// *DialError.
func dialAny(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, explainDial(address, err)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return dialOne(ctx, d, network, address)
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	found, err := lookup(ctx, d.Resolver, host)
	if err != nil {
		return nil, explainDial(address, err)
	}
	found = interleave(found)
	if len(found) == 1 {
		return dialOne(ctx, d, network, net.JoinHostPort(found[0].String(), port))
	}
	conn, all := race(ctx, found, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return d.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
	})
	if conn != nil {
		return conn, nil
	}
	return nil, explainAll(address, all)
}

func dialOne(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, explainDial(address, err)
	}
	return conn, nil
}

// interleave has the kinds of addresses take turns, the first one's kind first (RFC 8305, 4).
func interleave(found []netip.Addr) []netip.Addr {
	var kinds [2][]netip.Addr
	for _, a := range found {
		k := 0
		if a.Is4() != found[0].Is4() {
			k = 1
		}
		kinds[k] = append(kinds[k], a)
	}
	out := make([]netip.Addr, 0, len(found))
	for i := range found {
		for _, kind := range kinds {
			if i < len(kind) {
				out = append(out, kind[i])
			}
		}
	}
	return out[:min(len(out), maxAddresses)]
}

// race connects to one of several addresses, or says why to none. What it began has ended when it returns.
func race(ctx context.Context, found []netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, []failed) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan raced, len(found))
	var under sync.WaitGroup
	next := 0
	start := func() {
		a := found[next]
		next++
		under.Go(func() {
			conn, err := dial(ctx, a)
			ended <- raced{failed{a, err}, conn}
		})
	}
	delay := delayOf(ctx, len(found))
	tick := time.NewTimer(delay)
	defer tick.Stop()
	start()
	var all []failed
	var won net.Conn
	for won == nil && len(all) < len(found) {
		select {
		case r := <-ended:
			if won = r.conn; r.err != nil {
				all = append(all, r.failed)
			}
			if won == nil && next < len(found) && ctx.Err() == nil && len(all) == next {
				start()
				tick.Reset(delay)
			}
		case <-tick.C:
			if next < len(found) {
				start()
				tick.Reset(delay)
			}
		}
		if won == nil && ctx.Err() != nil && len(all) == next {
			break // those that are left were never tried
		}
	}
	cancel()
	under.Wait()
	close(ended)
	for r := range ended {
		if r.conn != nil {
			_ = r.conn.Close() // another was faster
		}
	}
	return won, all
}

// delayOf is how long an address has before the next is tried.
func delayOf(ctx context.Context, addresses int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return attemptDelay
	}
	return max(minAttemptDelay, min(attemptDelay, time.Until(deadline)/time.Duration(2*addresses)))
}

// explainAll says why none of several addresses was reached. One that was tried counts for more than one that may not be.
func explainAll(address string, all []failed) *DialError {
	var tried []failed
	for _, f := range all {
		var forbidden *ForbiddenError
		if !errors.As(f.err, &forbidden) {
			tried = append(tried, f)
		}
	}
	if len(tried) == 0 {
		return explainDial(address, all[0].err)
	}
	e := explainDial(address, tried[0].err)
	if len(tried) == 1 {
		return e
	}
	words := make([]string, len(tried))
	for i, f := range tried {
		words[i] = f.addr.String() + ": " + cause(f.err)
		if timedOut(f.err) || errors.Is(f.err, context.Canceled) {
			words[i] = f.addr.String() + ": no response in time"
		}
		e.Timedout = e.Timedout && timedOut(f.err)
	}
	e.words = "connect to " + address + ": " + strings.Join(words, "; ")
	return e
}
