package ledger

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// stage stands in for a test, so that the harness can be used outside of one.
type stage struct {
	name string
	dir  string
	log  io.Writer

	mu   sync.Mutex
	undo []func()
	why  []string
}

// onStage calls f until it returns or fails, cleans up, and returns why it failed.
func onStage(s *stage, f func()) (why []string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.cleanup()
		f()
	}()
	<-done
	return s.why
}

func (s *stage) cleanup() {
	s.mu.Lock()
	undo := s.undo
	s.undo = nil
	s.mu.Unlock()
	for _, f := range slices.Backward(undo) {
		f()
	}
}

// try calls f on a stage of its own that cleans up with this one, and returns why it failed.
func (s *stage) try(f func(t *stage)) (why []string) {
	inner := &stage{name: s.name, dir: s.dir, log: s.log}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(inner)
	}()
	<-done
	s.Cleanup(inner.cleanup)
	return inner.why
}

// Helper does nothing.
func (s *stage) Helper() {}

// Name is the round's.
func (s *stage) Name() string { return s.name }

// Logf tells how it goes.
func (s *stage) Logf(format string, args ...any) {
	fmt.Fprintf(s.log, s.name+": "+format+"\n", args...)
}

// Errorf notes a failure.
func (s *stage) Errorf(format string, args ...any) {
	s.mu.Lock()
	s.why = append(s.why, fmt.Sprintf(format, args...))
	s.mu.Unlock()
	s.Logf(format, args...)
}

// Fatalf notes a failure and ends what runs on the stage.
func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Failed reports whether something failed.
func (s *stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.why) > 0
}

// Cleanup runs f at the end.
func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.undo = append(s.undo, f)
}

// TempDir is a folder that stays with the run.
func (s *stage) TempDir() string {
	dir := filepath.Join(s.dir, "system")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // logs for everybody
		s.Fatalf("make a folder: %v", err)
	}
	return dir
}
