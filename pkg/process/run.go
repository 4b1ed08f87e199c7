// Package process is the frame around every program of this repository: it loads options, turns signals into a context that
// ends, runs tasks and stops them in order, opens listeners, and answers health questions. Flags, signals and exit codes
// live here alone.
package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// UsageError is a mistake in what a program was started with: flags, options file, environment. It ends with exit code 2.
type UsageError struct{ Err error }

// Error is the mistake itself.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Run calls f with a context that ends at SIGINT or SIGTERM, keeps the garbage collector's pace meanwhile, and gives the exit code:
// 0, 1 for an error, 2 for a *UsageError.
// An error goes to stderr behind the program's name. A second signal ends the program at once.
func Run(name string, f func(ctx context.Context) error) int {
	return run(name, os.Stderr, f)
}

func run(name string, stderr io.Writer, f func(ctx context.Context) error) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	done := make(chan struct{})
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-signals:
			cancel()
		case <-done:
			return
		}
		select {
		case s := <-signals:
			fmt.Fprintf(stderr, "%s: second signal (%s): exiting immediately\n", name, s)
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	collecting := make(chan struct{})
	go func() {
		defer close(collecting)
		collect(done)
	}()
	err := f(ctx)
	close(done)
	<-watching
	<-collecting
	return report(name, stderr, err, ctx.Err() != nil)
}

// report prints err and gives the exit code. An end that was asked for is no error.
func report(name string, stderr io.Writer, err error, stopped bool) int {
	var usage *UsageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp), stopped && errors.Is(err, context.Canceled):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s\n", name, err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "%s: %s\n", name, err)
		return exitFailed
	}
}

// Main is all of a service's main: it understands `--options FILE` (or OUTBOUND_OPTIONS), `--check` (load the options, then
// end), `--insecure` and `--version`, loads options, a pointer to a struct holding the defaults, from file and environment, and runs run.
func Main(name string, options any, run func(ctx context.Context) error) int {
	return Run(name, func(ctx context.Context) error {
		var file string
		var check, version, insecure bool
		flags := flag.NewFlagSet(name, flag.ContinueOnError)
		flags.StringVar(&file, "options", os.Getenv(optionsVariable), "options `FILE` (YAML)")
		flags.BoolVar(&check, "check", false, "load and check the options, then exit")
		flags.BoolVar(&insecure, "insecure", false, "allow listeners without TLS that other hosts can reach")
		flags.BoolVar(&version, "version", false, "print the version, then exit")
		if err := flags.Parse(os.Args[1:]); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return &UsageError{Err: err}
		}
		if flags.NArg() > 0 {
			return &UsageError{Err: fmt.Errorf("unexpected argument %q: options go into a file (--options FILE) or the environment", flags.Arg(0))}
		}
		if version {
			fmt.Println(name, Version())
			return nil
		}
		env := os.Environ()
		if insecure {
			env = append(env, variable("insecure")+"=true")
		}
		if err := Load(options, Source{File: file, Env: env}); err != nil || check {
			return err
		}
		return run(ctx)
	})
}
