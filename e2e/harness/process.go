package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// Process is one started binary. It leads a process group of its own, so that nothing it starts is left behind.
type Process struct {
	Name string
	// Log is the file that its output goes to. A restarted process goes on writing to the same one.
	Log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Command says what to start.
type Command struct {
	Name string
	// Path of the binary.
	Path string
	Args []string
	// Env is added to the environment, which is otherwise almost empty.
	Env []string
	// Log is the file for its output.
	Log string
}

// launch starts a part that does not run. It lasts as long as the system does, also if a subtest started it.
func (h *System) launch(t T, p *part) {
	t.Helper()
	if p.process != nil && !p.process.Exited() {
		return
	}
	p.killed = false
	process, err := Launch(Command{Name: p.name, Path: p.path, Args: p.args, Env: p.env, Log: filepath.Join(h.Dir, "logs", p.name+".log")})
	if err != nil {
		t.Fatalf("%v", err)
	}
	p.process = process
	h.owner.Cleanup(process.Kill)
}

// Launch starts a process.
func Launch(c Command) (*Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", c.Name, err)
	}
	defer func() { _ = log.Close() }() // the process has its own copy
	p := &Process{Name: c.Name, Log: c.Log, cmd: exec.CommandContext(context.Background(), c.Path, c.Args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}, c.Env...)
	p.cmd.SysProcAttr = attributes()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill ends the process and its group with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the process to end with SIGTERM and returns its exit code, or -1 with an error if it hangs.
func (p *Process) Stop() (int, error) {
	p.signal(syscall.SIGTERM)
	return p.Wait()
}

// Interrupt ends the process as Ctrl-C does and returns its exit code.
func (p *Process) Interrupt() (int, error) {
	p.signal(syscall.SIGINT)
	return p.Wait()
}

// Wait waits for the process to end by itself and returns its exit code, or -1 with an error if it hangs.
func (p *Process) Wait() (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-waittest.Late():
		return -1, fmt.Errorf("wait for %s to end: still there after %v", p.Name, waittest.Limit)
	}
}

// signal goes to the whole group; a process that is gone gets none, since its id may be another's by now.
func (p *Process) signal(s syscall.Signal) {
	if p.Exited() {
		return
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		_ = p.cmd.Process.Signal(s)
	}
}

// Output is all that the process has written so far.
func (p *Process) Output() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Tail is the last n lines of the output.
func (p *Process) Tail(n int) string {
	lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
