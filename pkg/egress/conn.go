package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"
)

// Conn is a connection of a transport of NewTransport. httptrace's GotConn gives it.
//
// A receiver may answer before it has read all of the request, and close (RFC 9112, 9.6): the rest of the request fails to be written
// then, while the answer is in the socket. So a write never fails; reading says how the connection stands.
type Conn struct {
	net.Conn
	broken atomic.Bool
	leaf   *x509.Certificate

	mu     sync.Mutex
	keeps  bool
	answer []byte
}

// Write writes, and from the first failure on takes what it is given.
func (c *Conn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return len(p), nil
	}
	if _, err := c.Conn.Write(p); err != nil {
		c.broken.Store(true)
	}
	return len(p), nil
}

// Read reads, and keeps what it reads while that is asked for.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.keep(p[:n])
	}
	return n, err
}

func (c *Conn) keep(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keeps {
		c.answer = append(c.answer, p[:min(len(p), MaxHeaderBytes-len(c.answer))]...)
	}
}

// KeepAnswer has what is read from now on kept, up to MaxHeaderBytes.
func (c *Conn) KeepAnswer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keeps, c.answer = true, c.answer[:0]
}

// Answer returns what was kept, and keeps no more. It is valid until the next KeepAnswer.
func (c *Conn) Answer() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keeps = false
	return c.answer
}

// Certificate is the one that the receiver presented for itself; nil without TLS.
func (c *Conn) Certificate() *x509.Certificate { return c.leaf }

// CertificateAsked reports whether the receiver asked for a client certificate.
func (c *Conn) CertificateAsked() bool {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return false
	}
	below, ok := secure.NetConn().(*askedConn)
	return ok && below.asked.Load()
}

// askedConn is a connection below TLS.
type askedConn struct {
	net.Conn
	// asked says that the other side asked for a client certificate.
	asked atomic.Bool
}

// present is tls.Config's GetClientCertificate.
func (c *askedConn) present(own *tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked.Store(true)
		if own == nil {
			return &tls.Certificate{}, nil
		}
		return own, nil
	}
}

// AskedWords say what to try where a receiver closes the connection after it asked for a client certificate.
func AskedWords(presented bool) string {
	if presented {
		return "; it asked for a client certificate before: check that it trusts the one in http.auth.clientCertificate and its issuer"
	}
	return "; it asked for a client certificate before: set http.auth.clientCertificate"
}

// wrapped makes the connections of a dial function a *Conn each.
func wrapped(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		out := &Conn{Conn: conn}
		if secure, ok := conn.(*tls.Conn); ok {
			if chain := secure.ConnectionState().PeerCertificates; len(chain) > 0 {
				out.leaf = chain[0]
			}
		}
		return out, nil
	}
}
