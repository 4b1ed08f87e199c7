package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
)

// bench is one measurement. It stands in for a test, so that the harness can be used as in the suite.
type bench struct {
	settings
	name   string
	undo   []func()
	failed bool
}

// errStop ends a measurement that cannot go on.
var errStop = errors.New("stopped")

// attempt runs one measurement and cleans up behind it.
func attempt(s settings, name string, run func(*bench) []row) (rows []row, err error) {
	b := &bench{settings: s, name: name}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer b.cleanup()
		rows = run(b)
	}()
	<-done
	if b.failed {
		return nil, fmt.Errorf("measure %s: %w: see above", name, errStop)
	}
	return rows, nil
}

func (b *bench) cleanup() {
	for _, f := range slices.Backward(b.undo) {
		f()
	}
	b.undo = nil
}

// scope runs a part of a measurement whose processes end with it.
func (b *bench) scope(f func()) {
	outer := b.undo
	b.undo = nil
	defer func() {
		b.cleanup()
		b.undo = outer
	}()
	f()
}

// Helper does nothing.
func (b *bench) Helper() {}

// Name is the measurement's.
func (b *bench) Name() string { return b.name }

// Logf tells how it goes.
func (b *bench) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, b.name+": "+format+"\n", args...)
}

// Errorf notes a failure.
func (b *bench) Errorf(format string, args ...any) {
	b.failed = true
	b.Logf(format, args...)
}

// Fatalf ends the measurement.
func (b *bench) Fatalf(format string, args ...any) {
	b.Errorf(format, args...)
	runtime.Goexit()
}

// Failed reports whether something failed.
func (b *bench) Failed() bool { return b.failed }

// Cleanup runs f at the end of the scope.
func (b *bench) Cleanup(f func()) { b.undo = append(b.undo, f) }

// TempDir is a new folder, taken away at the end of the scope.
func (b *bench) TempDir() string {
	dir, err := os.MkdirTemp("", "outbound-bench-")
	if err != nil {
		b.Fatalf("make a folder: %v", err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
