package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// ProxyOptions name the proxy that receivers are reached through. Without a URL they are dialled.
type ProxyOptions struct {
	// URL of the proxy: http://host:port, or https://host:port if it is spoken to by TLS itself. Empty: none.
	URL string `yaml:"url"`
	// User name at the proxy. Empty: none is sent.
	User string `yaml:"user"`
	// PasswordFile holds the user's password, blanks around it cut.
	PasswordFile string `yaml:"passwordFile"`
	// CAFile holds root certificates (PEM) to verify an https proxy with. Empty: the system's.
	CAFile string `yaml:"caFile"`
}

// Validate reports every fault at once; it reads no files.
func (o ProxyOptions) Validate() error {
	var f process.Faults
	if o.URL == "" {
		if o.User != "" || o.PasswordFile != "" || o.CAFile != "" {
			f.Add("url", "is missing, but user, passwordFile or caFile is set")
		}
		return f.Err()
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Port() == "":
		f.Add("url", "use the form http://host:port or https://host:port")
	case u.User != nil:
		f.Add("url", "contains a user name or password: use user and passwordFile")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		f.Add("url", "a proxy URL has no path: use the form http://host:port")
	default:
		_, err := recipient.Host(u.Hostname())
		f.Within("url", err)
	}
	if o.PasswordFile != "" && o.User == "" {
		f.Add("user", "is missing, but passwordFile is set")
	}
	return f.Err()
}

// Proxy is a proxy that receivers are reached through. The operator names it, so its own address is bound by no rule.
type Proxy struct {
	address string
	host    string
	secure  bool
	roots   *x509.CertPool
	// plain is how net/http is told of it for http targets. The dialer speaks TLS to the proxy where that is wanted.
	plain *url.URL
	// auth is the value of Proxy-Authorization; may be empty.
	auth string
}

// OpenProxy reads the files that the options name. The result is nil if there is no proxy.
func OpenProxy(o ProxyOptions) (*Proxy, error) {
	if err := o.Validate(); err != nil || o.URL == "" {
		return nil, err
	}
	u, err := recipient.ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the proxy's URL %w", err)
	}
	p := &Proxy{address: u.Host, host: u.Hostname(), secure: u.Scheme == "https", plain: &url.URL{Scheme: "http", Host: u.Host}}
	if o.User != "" {
		password := ""
		if o.PasswordFile != "" {
			b, err := os.ReadFile(o.PasswordFile)
			if err != nil {
				return nil, fmt.Errorf("read the proxy's password: %w", err)
			}
			password = strings.TrimSpace(string(b))
		}
		p.plain.User = url.UserPassword(o.User, password)
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(o.User+":"+password))
	}
	if o.CAFile != "" {
		b, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the proxy's root certificates: %w", err)
		}
		if p.roots, err = ParseRoots(string(b)); err != nil {
			return nil, fmt.Errorf("%s: %w", o.CAFile, err)
		}
	}
	return p, nil
}

// CheckProxied says whether a proxy may be asked for a host and port: nil, or a *ForbiddenError. The proxy looks the name up, so
// what is judged is what is written: addresses by the same rule as those that are dialled, names of this machine as loopback, names
// of our own services as themselves. Where any other name leads is for the proxy's own rules.
func (g *Guard) CheckProxied(ctx context.Context, host string, port uint16) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.Check(ctx, netip.AddrPortFrom(addr, port))
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, o := range g.own {
		if o.port == port && o.name != "" && strings.EqualFold(o.name, name) {
			return &ForbiddenError{Name: net.JoinHostPort(name, strconv.Itoa(int(port))), Why: "it is an Outbound service", Never: true}
		}
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return g.Check(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	}
	return nil
}

// route is http.Transport's Proxy: it judges the target of each request. Targets with https are left to dialTLS, which asks the
// proxy for a tunnel by itself.
func (d *dialer) route(r *http.Request) (*url.URL, error) {
	if err := d.permit(r.Context(), hostPort(r.URL)); err != nil {
		return nil, err
	}
	if r.URL.Scheme == "http" {
		return d.proxy.plain, nil
	}
	return nil, nil
}

// permit holds a target against the guard before the proxy is asked for it. Its error is a *DialError.
func (d *dialer) permit(ctx context.Context, address string) error {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return explainDial(address, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return explainDial(address, err)
	}
	if err := d.guard.CheckProxied(ctx, host, uint16(port)); err != nil {
		return explainDial(address, err)
	}
	return nil
}

// dialProxy connects to the proxy, whatever address is asked for. Every error is a *DialError.
func (d *dialer) dialProxy(ctx context.Context, network, _ string) (net.Conn, error) {
	// No guard: the operator has named this address.
	bare := &net.Dialer{Timeout: d.net.Timeout, Resolver: d.net.Resolver}
	conn, err := dialAny(ctx, bare, network, d.proxy.address)
	var fault *DialError
	if errors.As(err, &fault) {
		return nil, d.proxyFault(fault)
	}
	if !d.proxy.secure {
		return conn, nil
	}
	secure := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.proxy.roots, ServerName: d.proxy.host,
		NextProtos: []string{"http/1.1"}})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake is the fault to tell
		e := explainTLS(d.proxy.address, d.proxy.host, err, time.Now())
		e.words = strings.ReplaceAll(e.words, ": set caCertificatePem of the recipient to its root certificate", ": set proxy.caFile")
		return nil, d.proxyFault(e)
	}
	return secure, nil
}

// tunnel asks the proxy for a connection to a target. Every error is a *DialError.
func (d *dialer) tunnel(ctx context.Context, network, address string) (net.Conn, error) {
	if err := d.permit(ctx, address); err != nil {
		return nil, err
	}
	conn, err := d.dialProxy(ctx, network, address)
	if err != nil {
		return nil, err
	}
	address = withoutDot(address)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = d.proxy.open(conn, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // the refusal is the fault to tell
		words := err.Error()
		if ctx.Err() != nil || timedOut(err) {
			words = "it did not open a tunnel to " + address + " in time"
		}
		return nil, d.proxyFault(&DialError{Timedout: timedOut(err), words: words, err: err})
	}
	return conn, nil
}

// withoutDot is an address whose name has no last dot: a proxy, a server or a certificate that compares names knows it without.
func withoutDot(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(strings.TrimSuffix(host, "."), port)
}

// maxConnectAnswer bounds the header of a proxy's answer, in bytes.
const maxConnectAnswer = 16 << 10

// open speaks CONNECT.
func (p *Proxy) open(conn net.Conn, address string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if p.auth != "" {
		request += "Proxy-Authorization: " + p.auth + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return fmt.Errorf("it closed the connection: %w", err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxConnectAnswer))
	//nolint:bodyclose // closing would wait for the body of a refusal; the connection is closed
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		if timedOut(err) {
			return err
		}
		return fmt.Errorf("its response to CONNECT %s is not HTTP or is incomplete", address)
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return errors.New("it refused the user or password (HTTP 407): check proxy.user and proxy.passwordFile")
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("it did not connect to %s: HTTP %d %s", address, resp.StatusCode, http.StatusText(resp.StatusCode))
	case r.Buffered() > 0:
		return errors.New("it sent something before the receiver did")
	}
	return nil
}

// proxyFault makes a fault on the way to the receiver one of the proxy.
func (d *dialer) proxyFault(e *DialError) *DialError {
	e.Stage, e.Address = StageProxy, d.proxy.address
	e.words = "the outbound proxy " + d.proxy.address + ": " + e.words
	return e
}
