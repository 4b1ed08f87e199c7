// Package notice holds what a process has to say to those who run it: each notice is a sentence that names what is wrong and what to do.
// The process answers pings with its notices, and the status of the system shows them within seconds.
package notice

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/outbound-events/outbound/pkg/logkey"
)

// Board holds the notices of one process by key. The zero value and nil hold none; nil takes none.
type Board struct {
	log *slog.Logger

	mu  sync.Mutex
	all map[string]string
}

// NewBoard returns a board that logs each notice once when it appears, changes and ends. Nil: it logs nothing.
func NewBoard(log *slog.Logger) *Board { return &Board{log: log} }

// Set raises the notice of a key, or changes its text. An empty text ends it.
func (b *Board) Set(key, text string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.all[key]
	switch {
	case text == "" && known:
		delete(b.all, key)
		b.say(slog.LevelInfo, "notice ended", old)
	case text != "" && text != old:
		if b.all == nil {
			b.all = map[string]string{}
		}
		b.all[key] = text
		b.say(slog.LevelWarn, "notice", text)
	}
}

// Clear ends the notice of a key.
func (b *Board) Clear(key string) { b.Set(key, "") }

// All returns the texts, sorted by key.
func (b *Board) All() []string {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]string, 0, len(b.all))
	for _, key := range slices.Sorted(maps.Keys(b.all)) {
		out = append(out, b.all[key])
	}
	return out
}

func (b *Board) say(level slog.Level, message, text string) {
	if b.log != nil {
		b.log.Log(context.Background(), level, message, logkey.Notice, text)
	}
}
