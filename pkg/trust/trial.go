package trust

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Unclear reports whether a failed handshake leaves open what the peer wants: it has closed the connection, or sent an alert that
// does not say.
func Unclear(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	text := ""
	for e := err; e != nil; e = errors.Unwrap(e) { // words may stand before what was seen
		text += e.Error() + "\n"
	}
	for _, alert := range []string{"handshake failure", "insufficient security level", "protocol version", "error decoding message",
		"illegal parameter", "internal error", "unexpected message"} {
		if strings.Contains(text, "remote error: tls: "+alert) {
			return true
		}
	}
	return false
}

// Trial is a handshake that finds out what a peer wants.
type Trial struct {
	small, legacy bool
}

// Trials are what to try out, in order: the failed handshake once more, since what does not fail twice is no finding, then the smallest
// concession first.
func Trials() []Trial { return []Trial{{}, {small: true}, {legacy: true}} }

// errTried ends a handshake once it is known what the peer has chosen.
var errTried = errors.New("the peer has chosen")

// Config has a client shake hands until the peer has presented its certificate, and no further: no request and no client certificate is
// sent. What the peer has chosen is written to chosen; its Version stays 0 if the handshake did not come so far.
func (t Trial) Config(host string, chosen *tls.ConnectionState) *tls.Config {
	c := &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		// Nothing is sent to the peer, so it need not prove who it is.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			*chosen = s
			return errTried
		},
	}
	Compat{SmallHello: t.small}.Apply(c)
	if t.legacy { // which sends no key share, so that the ClientHello is small
		c.MinVersion, c.MaxVersion, c.CipherSuites = tls.VersionTLS10, tls.VersionTLS12, allSuites()
	}
	return c
}

// findingLife is how long it is believed what made handshakes fail, so that a peer that fails gets few connections more.
const findingLife = 10 * time.Minute

// Findings keep what made handshakes with a peer fail. The zero value has none.
type Findings struct {
	mu         sync.Mutex
	key, words string
	known      time.Time
}

// Of returns what is known of a peer, and finds it out first if nothing is, or another peer's. Find reports whether it came to an end.
// It does not wait for another caller that is finding out.
func (f *Findings) Of(key string, find func() (words string, sure bool)) string {
	if !f.mu.TryLock() {
		return ""
	}
	defer f.mu.Unlock()
	if f.key == key && time.Since(f.known) < findingLife {
		return f.words
	}
	words, sure := find()
	if sure {
		f.key, f.words, f.known = key, words, time.Now()
	}
	return words
}

// Finding says what a trial that came so far tells of the peer.
func (p Peer) Finding(t Trial, s tls.ConnectionState) string {
	suite := tls.CipherSuiteName(s.CipherSuite)
	switch {
	case t == Trial{}:
		return ""
	case t.small:
		return fmt.Sprintf("the %s, or a device on the way to it, does not take a ClientHello with post-quantum key exchange (more than 1,400 "+
			"bytes, so more than one packet): update it, or set %s", p.Name, p.SmallField)
	case s.Version < tls.VersionTLS12:
		return fmt.Sprintf("the %s speaks %s at most, and no protocol version from TLS 1.2 on: enable TLS 1.2 or 1.3 there", p.Name,
			tls.VersionName(s.Version))
	case hopeless(s.CipherSuite):
		return fmt.Sprintf("the %s wants the cipher suite %s, which is broken and not supported: enable ECDHE or RSA with AES there", p.Name,
			suite)
	case weakness(suite) == "":
		return fmt.Sprintf("the %s breaks off when it is offered TLS 1.3: update it, or set %s", p.Name, p.LegacyField)
	default:
		return fmt.Sprintf("the %s accepts none of the offered cipher suites; it wants %s (%s): enable ECDHE with AES-GCM there, or set %s",
			p.Name, suite, weakness(suite), p.LegacyField)
	}
}

// weakness says what is wrong with a cipher suite; empty: nothing.
func weakness(suite string) string {
	var out []string
	if strings.HasPrefix(suite, "TLS_RSA_") {
		out = append(out, "RSA key exchange: no forward secrecy")
	}
	if strings.Contains(suite, "_CBC_") {
		out = append(out, "CBC")
	}
	return strings.Join(out, ", ")
}
