package embed

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/outbound-events/outbound/pkg/telemetry"
)

// logger hands the broker's warnings and errors on. nats-server leaves it to its logger to end the process at a fatal error;
// this one keeps the error for Start instead.
type logger struct {
	to *slog.Logger
	mu sync.Mutex
	// died is the first fatal error.
	died error
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

// Noticef is dropped: what the broker does in peace is of no interest.
func (l *logger) Noticef(string, ...any) {}

// Debugf is dropped.
func (l *logger) Debugf(string, ...any) {}

// Tracef is dropped: it would show what passes.
func (l *logger) Tracef(string, ...any) {}

// Warnf hands a warning on.
func (l *logger) Warnf(format string, v ...any) {
	l.to.Warn("broker warning", telemetry.KeyDetail, fmt.Sprintf(format, v...))
}

// Errorf hands an error on.
func (l *logger) Errorf(format string, v ...any) {
	l.to.Error("broker error", telemetry.KeyError, fmt.Sprintf(format, v...))
}

// Fatalf hands an error on and keeps it for Start.
func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.to.Error("broker fatal error", telemetry.KeyError, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.died == nil {
		l.died = errors.New(text)
	}
}
