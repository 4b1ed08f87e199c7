package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/trust"
)

// Step is one step of the way to a receiver.
type Step struct {
	// Name is one of the Step constants.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail is what was seen, in words. It holds no secrets, and of the URL no more than scheme, host and port.
	Detail string `json:"detail"`
	// Remedy is what to do, if it failed.
	Remedy string        `json:"remedy,omitempty"`
	Took   time.Duration `json:"took"`
}

// The names of steps, in their order.
const (
	StepURL    = "URL"
	StepDNS    = "DNS"
	StepEgress = "EGRESS"
	StepTCP    = "TCP"
	StepTLS    = "TLS"
	StepHTTP   = "HTTP"
	StepStatus = "STATUS"
)

// Report is what was found on the way to a receiver.
type Report struct {
	// Steps end with the first that failed.
	Steps []Step `json:"steps"`
	// Chain is what the receiver presented, leaf first, in DER.
	Chain [][]byte `json:"chain,omitempty"`
	// RootToPin is the certificate (PEM) that would make the chain trusted, if the receiver has sent it: its root, or where no root
	// would do, its own certificate.
	RootToPin string `json:"rootToPin,omitempty"`
}

// Healthy reports whether no step failed.
func (r *Report) Healthy() bool {
	return len(r.Steps) > 0 && r.Steps[len(r.Steps)-1].OK
}

// Add appends a step.
func (r *Report) Add(s Step) { r.Steps = append(r.Steps, s) }

// probe is one walk under way.
type probe struct {
	o       TransportOptions
	d       *dialer
	url     *url.URL
	host    string
	address string
	found   []netip.Addr
	conn    net.Conn
	report  *Report
}

// Probe goes the way to a URL step by step, with the dialer that a transport of the same options has: name, egress rule, TCP, TLS. It
// appends the steps to the report, up to the first that fails, and sends no request.
func Probe(ctx context.Context, o TransportOptions, u *url.URL, report *Report) {
	w := &probe{o: o, d: newDialer(o), url: u, host: u.Hostname(), address: hostPort(u), report: report}
	defer func() {
		if w.conn != nil {
			_ = w.conn.Close() // it has served
		}
	}()
	for _, s := range []struct {
		name string
		take func(context.Context) (string, error)
	}{{StepDNS, w.lookup}, {StepEgress, w.check}, {StepTCP, w.connect}, {StepTLS, w.secure}} {
		bound, cancel := context.WithTimeout(ctx, o.Timeout)
		began := time.Now()
		detail, err := s.take(bound)
		cancel()
		step := Step{Name: s.name, OK: err == nil, Detail: detail, Took: time.Since(began)}
		if err != nil {
			step.Detail, step.Remedy = err.Error(), w.remedy(err)
		}
		report.Add(step)
		if err != nil {
			return
		}
	}
}

func (w *probe) lookup(ctx context.Context) (string, error) {
	if addr, err := netip.ParseAddr(w.host); err == nil {
		w.found = []netip.Addr{addr}
		return "the host is an IP address", nil
	}
	if w.o.Proxy != nil {
		return "left to the outbound proxy " + w.o.Proxy.address, nil
	}
	found, err := lookup(ctx, w.o.Resolver, w.host)
	if err != nil {
		return "", explainDial(w.address, err)
	}
	w.found = found
	return w.host + " is " + addressList(found), nil
}

// lookup finds all addresses of a name.
func lookup(ctx context.Context, r *net.Resolver, name string) ([]netip.Addr, error) {
	if r == nil {
		r = net.DefaultResolver
	}
	found, err := r.LookupNetIP(ctx, "ip", name)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, err
}

func addressList(all []netip.Addr) string {
	const most = 8
	words := make([]string, 0, len(all))
	for i, a := range all {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(all)-most))
			break
		}
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// check holds the addresses that were found against the guard. The dialer does so again with the one it dials.
func (w *probe) check(ctx context.Context) (string, error) {
	if w.o.Proxy != nil {
		if err := w.d.permit(ctx, w.address); err != nil {
			return "", err
		}
		return "the proxy can be used for " + w.address, nil
	}
	allowed, err := w.o.Guard.permitted(ctx, w.found, w.address)
	if err != nil {
		return "", explainDial(w.address, err)
	}
	if n := len(w.found) - len(allowed); n > 0 {
		return fmt.Sprintf("%s is allowed, %d other addresses are not", addressList(allowed), n), nil
	}
	return addressList(allowed) + " is allowed", nil
}

// permitted are the addresses that may be dialled. If none may, the error is the first one's *ForbiddenError.
func (g *Guard) permitted(ctx context.Context, found []netip.Addr, address string) (allowed []netip.Addr, err error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	var first error
	for _, a := range found {
		if err := g.Check(ctx, netip.AddrPortFrom(a, uint16(port))); err == nil {
			allowed = append(allowed, a)
		} else if first == nil {
			first = err
		}
	}
	if len(allowed) == 0 && first != nil {
		return nil, first
	}
	return allowed, nil
}

func (w *probe) connect(ctx context.Context) (string, error) {
	if w.o.Proxy != nil && w.url.Scheme == "http" {
		conn, err := w.d.dialProxy(ctx, "tcp", w.address)
		w.conn = conn
		return "connected to the outbound proxy " + w.o.Proxy.address, err
	}
	conn, err := w.d.reach(ctx, "tcp", w.address)
	if err != nil {
		return "", err
	}
	w.conn = conn
	if w.o.Proxy != nil {
		return "the outbound proxy " + w.o.Proxy.address + " connected to " + w.address, nil
	}
	return "connected to " + conn.RemoteAddr().String(), nil
}

func (w *probe) secure(ctx context.Context) (string, error) {
	if w.url.Scheme == "http" {
		return "not used: the URL uses http, so events are sent unencrypted", nil
	}
	conn, err := w.d.handshake(ctx, w.conn, w.address)
	if err != nil {
		w.conn = nil
		w.present(err)
		return "", w.d.patient(ctx, w.o.Timeout, err)
	}
	w.conn = conn
	state := conn.ConnectionState()
	w.chain(state.PeerCertificates)
	leaf, how := state.PeerCertificates[0], "trusted"
	if w.o.Anchors.Holds(leaf) {
		how = "pinned (exactly the one in http.caCertificatePem)"
	}
	return fmt.Sprintf("%s, %s; the certificate is %s and valid until %s", tls.VersionName(state.Version),
		tls.CipherSuiteName(state.CipherSuite), how, leaf.NotAfter.UTC().Format(time.DateOnly)), nil
}

func (w *probe) chain(certificates []*x509.Certificate) {
	for _, c := range certificates {
		w.report.Chain = append(w.report.Chain, c.Raw)
	}
}

// present keeps the chain that was not trusted, and what of it would make it so if it were uploaded.
func (w *probe) present(err error) {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) {
		return
	}
	chain := refused.UnverifiedCertificates
	w.chain(chain)
	if c := trust.ToPin(chain, w.host, err, time.Now()); c != nil {
		w.report.RootToPin = certificate.Encode([]*x509.Certificate{c})
	}
}
