package clitest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Result is what a command did.
type Result struct {
	Out, Err string
	Code     int
}

// Run runs a command of `outbound` with arguments, the first of which is its name.
func (s *Server) Run(t *testing.T, build func(*command.Env) *cobra.Command, args ...string) Result {
	t.Helper()
	return s.RunContext(t.Context(), build, args...)
}

// RunContext runs a command until ctx ends.
func (s *Server) RunContext(ctx context.Context, build func(*command.Env) *cobra.Command, args ...string) Result {
	var out, errs bytes.Buffer
	err := s.Execute(ctx, &output.Printer{Out: &out, Err: &errs}, build, args)
	if err != nil {
		output.PrintError(&errs, err)
	}
	return Result{Out: out.String(), Err: errs.String(), Code: exit.Code(err)}
}

// Execute runs a command that prints to p.
func (s *Server) Execute(ctx context.Context, p *output.Printer, build func(*command.Env) *cobra.Command, args []string) error {
	files := &input.Reader{In: strings.NewReader(s.In), Getenv: func(name string) string { return s.Env[name] }}
	env := &command.Env{Printer: p, Source: &client.Source{Files: files, Version: "test"}, Files: files, Version: "test",
		InTerminal: s.InTerminal}
	root := &cobra.Command{Use: "outbound", SilenceUsage: true, SilenceErrors: true}
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	cmd := build(env)
	if cmd.PersistentFlags().Lookup("output") == nil { // commands that call no server have flags of their own
		env.ConnectionFlags(cmd)
	}
	env.CompleteTree(cmd)
	root.AddCommand(cmd)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}
