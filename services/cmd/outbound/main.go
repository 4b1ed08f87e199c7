// Outbound is the all-in-one (`outbound run`) and the command line of Outbound.
package main

import (
	"context"
	"os"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/services/cli"
)

func main() {
	code := 0
	failed := process.Run("outbound", func(ctx context.Context) error {
		root := cli.New(cli.Options{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: isTerminal(os.Stderr), OutTerminal: isTerminal(os.Stdout),
			InTerminal: isTerminal(os.Stdin),
			Getenv:     os.Getenv, Version: process.Version(),
		}, runCommand(), repairCommand())
		code = cli.Execute(ctx, root, os.Args[1:])
		return nil
	})
	os.Exit(max(code, failed))
}

// isTerminal reports whether a file is one that a person looks at.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
