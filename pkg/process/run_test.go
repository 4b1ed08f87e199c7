package process_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// asProgram makes this test binary a program that behaves as the variable says.
const asProgram = "PROCESS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if kind := os.Getenv(asProgram); kind != "" {
		os.Exit(program(kind))
	}
	waittest.VerifyTestMain(m)
}

// program is what the tests run as a process of its own.
func program(kind string) int {
	switch kind {
	case "good":
		return process.Run("good", func(context.Context) error { return nil })
	case "bad":
		return process.Run("bad", func(context.Context) error { return errors.New("it broke") })
	case "polite":
		return process.Run("polite", func(ctx context.Context) error {
			fmt.Println("ready")
			<-ctx.Done()
			fmt.Println("stopping")
			return ctx.Err()
		})
	case "stubborn":
		return process.Run("stubborn", func(ctx context.Context) error {
			fmt.Println("ready")
			<-ctx.Done()
			fmt.Println("stopping")
			select {}
		})
	default:
		o := defaults()
		return process.Main("main", &o, func(context.Context) error {
			fmt.Println("workers", o.Workers)
			return nil
		})
	}
}

func start(t *testing.T, kind string, args ...string) (*exec.Cmd, *bufio.Reader, *bytes.Buffer) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"="+kind)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(out), &stderr
}

func expect(t *testing.T, out *bufio.Reader, want string) {
	t.Helper()
	if got, err := out.ReadString('\n'); got != want+"\n" {
		t.Fatalf("program said %q, %v: want %q", got, err, want)
	}
}

// end gives exit code and stderr.
func end(t *testing.T, c *exec.Cmd, out io.Reader, stderr *bytes.Buffer) (int, string) {
	t.Helper()
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stderr.String()
}

func TestASignalEndsTheContextAndTheProgramEndsWell(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c, out, stderr := start(t, "polite")
		expect(t, out, "ready")
		if err := c.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		expect(t, out, "stopping")
		if code, text := end(t, c, out, stderr); code != 0 || text != "" {
			t.Errorf("after %s: exit code %d, stderr %q", sig, code, text)
		}
	}
}

func TestASecondSignalEndsTheProgramAtOnce(t *testing.T) {
	c, out, stderr := start(t, "stubborn")
	expect(t, out, "ready")
	for _, next := range []func(){func() { expect(t, out, "stopping") }, func() {}} {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		next()
	}
	if code, text := end(t, c, out, stderr); code != 1 || !strings.Contains(text, "second signal") {
		t.Errorf("exit code %d, stderr %q", code, text)
	}
}

func TestExitCodesAndTheOneLine(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	if err := errors.Join(os.WriteFile(good, []byte("workers: 9\n"), 0o600), os.WriteFile(bad, []byte("worker: 9\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"good":          {"good", nil, 0, "", ""},
		"error":         {"bad", nil, 1, "", "bad: it broke\n"},
		"options":       {"main", []string{"--options", good}, 0, "workers 9\n", ""},
		"check":         {"main", []string{"--options", good, "--check"}, 0, "", ""},
		"version":       {"main", []string{"--version"}, 0, "main " + process.Version() + "\n", ""},
		"wrong options": {"main", []string{"--options", bad}, 2, "", "main: " + bad + ":1: worker: unknown option: did you mean workers?\n"},
		"unknown argument": {"main", []string{"start"}, 2, "",
			"main: unexpected argument \"start\": options go into a file (--options FILE) or the environment\n"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, out, stderr := start(t, c.kind, c.args...)
			stdout, err := io.ReadAll(out)
			if err != nil {
				t.Fatal(err)
			}
			code, text := end(t, cmd, out, stderr)
			if code != c.code || string(stdout) != c.stdout || text != c.stderr {
				t.Errorf("exit code %d, stdout %q, stderr %q: want %d, %q, %q", code, stdout, text, c.code, c.stdout, c.stderr)
			}
		})
	}
	cmd, out, stderr := start(t, "main", "--nonsense")
	if code, text := end(t, cmd, out, stderr); code != 2 || !strings.Contains(text, "-nonsense") {
		t.Errorf("unknown flag: exit code %d, stderr %q", code, text)
	}
}
