package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// lookEvery is the pause between two looks at the broker, lookAgain while something is wrong with it.
	lookEvery = 30 * time.Second
	lookAgain = 2 * time.Second
	// logSameEvery is how often an error is logged that the broker reports again and again.
	logSameEvery = 10 * time.Second
)

// errNotConnected says that the broker is away.
var errNotConnected = errors.New("not connected to the broker")

// monitor keeps what is wrong with the broker while a process runs: after a reconnect the server may be another one.
type monitor struct {
	conn   *Conn
	ctx    context.Context
	cancel context.CancelFunc
	again  chan struct{}
	done   chan struct{}

	mu sync.Mutex
	// needs is what the broker lacks, away why no connection is made, permission which subject was refused last. checked says that the
	// present connection has been looked at.
	needs, away, permission error
	checked                 bool
	told                    string
	logged                  string
	loggedAt                time.Time
}

func newMonitor(c *Conn) *monitor {
	m := &monitor{conn: c, again: make(chan struct{}, 1), checked: true}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// start looks at the broker until stop is called.
func (m *monitor) start() {
	m.done = make(chan struct{})
	go m.run()
}

func (m *monitor) stop() {
	m.cancel()
	if m.done != nil {
		<-m.done
	}
}

// look asks for a look now.
func (m *monitor) look() {
	select {
	case m.again <- struct{}{}:
	default:
	}
}

// reconnected is called with each new connection, which is of no use until it has been looked at.
func (m *monitor) reconnected() {
	m.mu.Lock()
	m.checked, m.away, m.permission = false, nil, nil
	m.mu.Unlock()
	m.look()
}

// refused is told why an attempt to reconnect failed.
func (m *monitor) refused(err error) {
	o := m.conn.options
	if refusesUser(err) {
		err = fmt.Errorf("the broker at %s refuses user %q: check nats.user and nats.passwordFile (%w)", o.URL, o.User, err)
	}
	m.mu.Lock()
	m.away = err
	m.mu.Unlock()
	m.look()
}

// reported is told what the server reports beside the answers. The log gets it unless it has just got the same.
func (m *monitor) reported(err error, subject string) {
	m.mu.Lock()
	same := m.logged == err.Error() && time.Since(m.loggedAt) < logSameEvery
	if !same {
		m.logged, m.loggedAt = err.Error(), time.Now()
	}
	m.mu.Unlock()
	if !same {
		m.conn.Logger.Warn("broker reported an error", telemetry.KeyError, err.Error(), logkey.Subject, subject)
	}
	if refusesUser(err) {
		m.refused(err)
	}
	if denied := permission(m.conn, err); denied != nil {
		m.mu.Lock()
		m.permission = denied
		m.mu.Unlock()
		m.look()
	}
}

// denied is the subject that was refused last.
func (m *monitor) denied() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.permission
}

func (m *monitor) run() {
	defer close(m.done)
	tick := time.NewTimer(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-m.again:
		case <-tick.C:
		}
		if m.check() {
			tick.Reset(lookEvery)
		} else {
			tick.Reset(lookAgain)
		}
	}
}

// check looks at the broker, tells what is wrong with it, and reports whether it is right.
func (m *monitor) check() bool {
	if m.conn.Connected() {
		since := m.conn.since.Load()
		ctx, cancel := context.WithTimeout(m.ctx, attemptTimeout)
		err := needs(ctx, m.conn)
		cancel()
		m.mu.Lock()
		if err == nil || !temporary(err) {
			m.needs, m.checked = err, m.conn.since.Load() == since
		}
		m.mu.Unlock()
	}
	fault := m.fault()
	m.tell(fault)
	return fault == nil
}

// fault is what is wrong with the broker now; nil if nothing is.
func (m *monitor) fault() error {
	connected := m.conn.Connected()
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.conn.dialer.tooOld()
	switch {
	case !connected && old != nil:
		return fmt.Errorf("%w: %w", errNotConnected, old)
	case !connected && m.away != nil:
		return fmt.Errorf("%w: %w", errNotConnected, m.away)
	case !connected:
		return errNotConnected
	case m.needs != nil:
		return m.needs
	case m.permission != nil:
		return m.permission
	case !m.checked:
		return errors.New("connected to the broker again, but it has not responded yet")
	default:
		return nil
	}
}

// tell raises or ends the notice. A broker that is merely away, as one that restarts is, needs none: readiness and log say it.
func (m *monitor) tell(fault error) {
	text := ""
	var old *VersionError
	if fault != nil && (!errors.Is(fault, errNotConnected) || errors.As(fault, &old) || refusesUser(fault)) && m.isChecked() {
		text = "Nothing is accepted, delivered or changed here: " + fault.Error() + "."
	}
	m.mu.Lock()
	same := text == m.told
	m.told = text
	m.mu.Unlock()
	if !same && m.conn.options.Notice != nil {
		m.conn.options.Notice(text)
	}
}

func (m *monitor) isChecked() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.checked || m.needs != nil || !m.conn.Connected()
}
