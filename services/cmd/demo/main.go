// Demo starts the whole of Outbound in this process and plays support sessions through it: `make demo`. With --once it plays
// one round and ends with 0 if everything expected has arrived.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/services/allinone"
	"github.com/outbound-events/outbound/services/demo"
)

func main() { os.Exit(process.Run("demo", run)) }

func run(ctx context.Context) (err error) {
	o := demo.DefaultOptions()
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.BoolVar(&o.Once, "once", false, "run one round without pauses; exit with 0 if everything arrived")
	flags.DurationVar(&o.Every, "every", o.Every, "pause between rounds")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return &process.UsageError{Err: err}
	}
	if o.Once {
		o.Pause = 0
	}
	o.Colour = terminal(os.Stdout)
	dir, err := os.MkdirTemp("", "outbound-demo-")
	if err != nil {
		return fmt.Errorf("create a directory for the demo data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return play(ctx, o, dir)
}

// play runs Outbound and the demo beside it until either ends.
func play(ctx context.Context, o demo.Options, dir string) error {
	log, err := os.Create(filepath.Join(dir, "outbound.log"))
	if err != nil {
		return fmt.Errorf("open the log file: %w", err)
	}
	defer func() { _ = log.Close() }()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	whole := allinone.DefaultOptions()
	whole.Data, whole.AllowEgress, whole.Telemetry.LogTo = dir, []string{"127.0.0.0/8"}, log
	whole.HTTP, whole.GRPC, whole.NATS = free(whole.HTTP), free(whole.GRPC), free(whole.NATS)
	s, err := allinone.New(whole)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		err := s.Run(ctx)
		stop(err)
		ended <- err
	}()
	err = visit(ctx, s, o, dir)
	stop(err)
	return errors.Join(err, <-ended)
}

// visit plays once Outbound is ready.
func visit(ctx context.Context, s *allinone.Service, o demo.Options, dir string) error {
	began := time.Now()
	select {
	case at := <-s.Ready():
		token, err := secret.LoadToken(filepath.Join(dir, "admin.token"))
		if err != nil {
			return err
		}
		fmt.Printf("Outbound is ready after %d ms\n", time.Since(began).Milliseconds())
		d, err := demo.New(o, demo.Deps{HTTP: "http://" + at.HTTP, NATS: at.NATS, Token: token, Data: dir, Out: os.Stdout,
			FirstStart: firstStart(ctx, s)})
		if err != nil {
			return err
		}
		return d.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// firstStart is the link by which the console's first user is made. There is none yet in the demo's fresh folder, so the link comes
// as soon as the console has looked.
func firstStart(ctx context.Context, s *allinone.Service) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	select {
	case link := <-s.FirstStart():
		return link
	case <-ctx.Done():
		return ""
	}
}

// free is the address if its port is free, else the same host with a port that will be picked.
func free(address string) string {
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
		return address
	}
	host, _, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host, "0")
}

// terminal says whether colours make sense on f.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
