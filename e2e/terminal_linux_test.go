package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// terminal is a pseudo terminal (pty(7)): a person types at one end, a process reads and writes the other.
type terminal struct {
	t           *testing.T
	person, tty *os.File
	shown       waittest.Log
	read        chan struct{}
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var number, unlocked uint32
	for _, x := range []struct {
		request uintptr
		value   *uint32
	}{{syscall.TIOCSPTLCK, &unlocked}, {syscall.TIOCGPTN, &number}} {
		//nolint:gosec // the kernel reads or writes one number
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), x.request, uintptr(unsafe.Pointer(x.value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, person: person, tty: tty, read: make(chan struct{})}
	go func() {
		defer close(x.read)
		buffer := make([]byte, 4096)
		for {
			n, err := person.Read(buffer)
			_, _ = x.shown.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	return x
}

// run runs Outbound at the terminal, types what is given once a text is shown, and returns what the terminal showed.
func (x *terminal) run(dir string, env []string, prompt, typed string, args ...string) (shown string, code int) {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), harness.Binary("outbound"), args...)
	cmd.Dir, cmd.Env = dir, append([]string{"TERM=xterm", "HOME=" + dir}, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = x.tty, x.tty, x.tty
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	_ = x.tty.Close()
	if prompt != "" {
		waittest.Until(x.t, "the terminal shows "+prompt, func() bool { return strings.Contains(x.shown.String(), prompt) })
		if _, err := x.person.WriteString(typed); err != nil {
			x.t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	waittest.Receive(x.t, "the end of what is shown", x.read)
	_ = x.person.Close()
	return strings.ReplaceAll(x.shown.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

func TestAListenThatWasKilledIsNamedByTheNext(t *testing.T) {
	t.Parallel()
	const readme = "\n```sh server\nmake build\nbin/outbound run --data ./data --allow-egress 127.0.0.0/8\n```\n" +
		"\n```sh listen\nbin/outbound --data ./data listen\n```\n"
	q := quickStart{t: t, dir: t.TempDir(), readme: readme}
	q.server()
	q.listen().Kill()
	id := regexp.MustCompile(`recipient (listen-\w+) receives`).FindStringSubmatch(q.log("listen"))[1]
	next := q.listen()
	waittest.NoError(t, "the next one names it", func() error {
		return q.logged("listen", "recipient "+id+" is left of an earlier listen that was killed")
	})
	if code, err := next.Interrupt(); code != 0 || err != nil {
		t.Errorf("interrupted, it ends with %d, %v", code, err)
	}
	if list := q.command("bin/outbound --data ./data recipients list"); !strings.Contains(list, id) {
		t.Errorf("what was left is removed, which may be in use:\n%s", list)
	}
}

func TestTheCommandLineAtATerminal(t *testing.T) {
	t.Parallel()
	q := quickStart{t: t, dir: t.TempDir(), readme: "\n```sh server\nmake build\nbin/outbound run --data ./data\n```\n"}
	q.server()
	q.command("bin/outbound --data ./data recipients create --name crm --url https://crm.example.com/ --event support_conference_end")
	at := func(env []string, prompt, typed string, args ...string) (string, int) {
		t.Helper()
		return openTerminal(t).run(q.dir, env, prompt, typed, append([]string{"--data", "data"}, args...)...)
	}
	relative := regexp.MustCompile(`\d+s ago|now`)
	utc := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

	shown, code := at(nil, "", "", "recipients", "ls")
	if code != 0 || !strings.Contains(shown, "\x1b[1mID ") || !strings.Contains(shown, "\x1b[32mOK\x1b[0m") {
		t.Errorf("exit %d, no colours:\n%q", code, shown)
	}
	if shown, code := at([]string{"NO_COLOR=1"}, "", "", "recipients", "ls"); code != 0 || strings.Contains(shown, "\x1b") {
		t.Errorf("exit %d, colours in spite of NO_COLOR:\n%q", code, shown)
	}
	if shown, code := at(nil, "", "", "recipients", "ls", "-o", "json"); code != 0 || strings.Contains(shown, "\x1b") {
		t.Errorf("exit %d, colours in JSON:\n%q", code, shown)
	}
	if shown, code := at(nil, "", "", "status"); code != 0 || !relative.MatchString(shown) {
		t.Errorf("exit %d, no relative time:\n%q", code, shown)
	}
	if out := q.command("bin/outbound --data ./data status"); strings.Contains(out, "\x1b") || !utc.MatchString(out) ||
		strings.Contains(out, " ago") {
		t.Errorf("without a terminal:\n%q", out)
	}
	ask := "yes or no: "
	if shown, code := at(nil, ask, "no\n", "recipients", "delete", "crm"); code != 1 || !strings.Contains(shown, "nothing is changed") {
		t.Errorf("answered no: exit %d\n%q", code, shown)
	}
	if shown, code := at(nil, ask, "yes\n", "recipients", "delete", "crm"); code != 0 || !strings.Contains(shown, "deleted recipient crm") {
		t.Errorf("answered yes: exit %d\n%q", code, shown)
	}
	// A script has no terminal to be asked at.
	cmd := exec.CommandContext(t.Context(), harness.Binary("outbound"), "--data", filepath.Join(q.dir, "data"), "recipients", "delete", "crm")
	if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "--yes") {
		t.Errorf("without a terminal: %v\n%s", err, out)
	}
}
