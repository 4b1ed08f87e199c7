// Package audited writes the calls of a server to the audit log, each as its rule says.
package audited

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Log stores entries.
type Log interface {
	// Ready is why no entry can be stored now; nil: one can.
	Ready(ctx context.Context) error
	// Append stores an entry.
	Append(ctx context.Context, e audit.Entry) (audit.Stored, error)
	// Fill is the part of the log that is used, from 0 to 1.
	Fill(ctx context.Context) (float64, error)
}

// Writer writes calls to the audit log. One serves all servers of a process.
type Writer struct {
	log    Log
	logger *slog.Logger
	rules  map[string]Rule

	mu sync.Mutex
	// pending are entries of what was done that could not be stored yet. Nothing is changed meanwhile.
	pending []audit.Entry
	// failures bound the entries of denied and refused calls, leftOut counts those that were left out.
	failures failures
	leftOut  uint64
}

// New returns what writes to a log. Nil logger: nothing is logged.
func New(log Log, logger *slog.Logger) *Writer {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Writer{log: log, logger: logger, rules: Rules(), failures: failures{of: map[string]*turns{}}}
}

// Rule is that of a method. One that is not declared is audited under its own name.
func (a *Writer) Rule(method string) Rule {
	if a == nil {
		return Rule{}
	}
	r, ok := a.rules[method]
	if !ok {
		r = Rule{Action: strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(method, "/outbound.v1."), "/", "."))}
	}
	return r
}

// reasonNotAudited is the reason of a change that is refused because it can't be audited.
const reasonNotAudited = "NOT_AUDITED"

// auditTimeout bounds what is written after a call.
const auditTimeout = 5 * time.Second

// Ready is why no change can be made now: its entry could not be stored.
func (a *Writer) Ready(ctx context.Context) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.pending) > 0 {
		if _, err := a.log.Append(ctx, a.pending[0]); err != nil {
			return notAuditable(err)
		}
		a.pending = a.pending[1:]
	}
	if err := a.log.Ready(ctx); err != nil {
		return notAuditable(err)
	}
	return nil
}

func notAuditable(err error) error {
	return unavailable(fmt.Sprintf("nothing was changed, because it could not be audited: %v. Reading and deliveries go "+
		"on. If the audit log is full, raise streams.auditMaxBytes and restart", err))
}

// Record writes an entry of something that was done. If it can't be stored, the error says so, and nothing is changed until it is.
func (a *Writer) Record(ctx context.Context, e audit.Entry) error {
	if a == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	e.LeftOut = a.leftOut
	_, err := a.log.Append(ctx, e)
	if err == nil {
		a.leftOut = 0
		return nil
	}
	e.LeftOut = 0
	a.logger.ErrorContext(ctx, "audit entry not stored, retrying", telemetry.KeyMethod, e.Action, telemetry.KeyError, err.Error())
	a.pending = append(a.pending, e)
	return unavailable(fmt.Sprintf("it was done, but its audit entry could not be stored: %v. Nothing else is changed "+
		"until it is", err))
}

// Tell writes an entry of a call that was denied or refused, unless there are too many. Their number is told with the next entry.
func (a *Writer) Tell(ctx context.Context, e audit.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.failures.take(e.Address, time.Now()) {
		a.leftOut++
		return
	}
	if fill, err := a.log.Fill(ctx); err != nil || fill > failureFill {
		a.leftOut++
		return
	}
	e.LeftOut = a.leftOut
	if _, err := a.log.Append(ctx, e); err != nil {
		a.leftOut++
		a.logger.WarnContext(ctx, "audit entry of a refused call not stored", telemetry.KeyMethod, e.Action, telemetry.KeyError, err.Error())
		return
	}
	a.leftOut = 0
}

// unavailable is the error of a call that can be repeated later.
func unavailable(text string) error {
	s := status.New(codes.Unavailable, text)
	if full, err := s.WithDetails(&errdetails.ErrorInfo{Reason: reasonNotAudited, Domain: "outbound"}); err == nil {
		s = full
	}
	return s.Err()
}

// The bounds of entries of denied and refused calls: from one address 30 at once and 4 a minute, from all 200 at once and 20 a minute;
// and none when the log is half full, so that they never keep a change out.
const (
	failuresOfOne = 30
	failuresOfAll = 200
	everyOfOne    = 15 * time.Second
	everyOfAll    = 3 * time.Second
	failureFill   = 0.5
	// maxAddresses bounds the memory for addresses.
	maxAddresses = 4096
)

// turns is a bucket of tokens.
type turns struct {
	left float64
	at   time.Time
}

func (t *turns) refill(now time.Time, most int, every time.Duration) {
	t.left = min(float64(most), t.left+float64(now.Sub(t.at))/float64(every))
	t.at = now
}

// failures bound entries by address.
type failures struct {
	all turns
	of  map[string]*turns
}

func (f *failures) take(address string, now time.Time) bool {
	f.all.refill(now, failuresOfAll, everyOfAll)
	one := f.of[address]
	if one == nil {
		if len(f.of) >= maxAddresses {
			clear(f.of)
		}
		one = &turns{left: failuresOfOne, at: now}
		f.of[address] = one
	}
	one.refill(now, failuresOfOne, everyOfOne)
	if f.all.left < 1 || one.left < 1 {
		return false
	}
	f.all.left--
	one.left--
	return true
}
