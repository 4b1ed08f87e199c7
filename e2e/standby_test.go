package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// configProcess is a process of the config service.
type configProcess struct {
	*harness.Process
	http string
}

// startConfig starts a config service on a broker. folder has its secrets.
func startConfig(t *testing.T, name, broker, folder string) configProcess {
	t.Helper()
	c := configProcess{http: harness.FreeAddress(t)}
	p, err := harness.Launch(harness.Command{Name: name, Path: harness.Binary("config"), Log: filepath.Join(t.TempDir(), "log"), Env: []string{
		"OUTBOUND_NATS_URL=" + broker, "OUTBOUND_HTTP=" + c.http, "OUTBOUND_GRPC=" + harness.FreeAddress(t),
		"OUTBOUND_SEAL_KEY_FILE=" + filepath.Join(folder, "seal.key"),
		"OUTBOUND_ADMIN_TOKEN_FILE=" + filepath.Join(folder, "token"), "OUTBOUND_SERVICE_TOKEN_FILE=" + filepath.Join(folder, "token"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	c.Process = p
	return c
}

// ready is nil if the process is ready, else what it answers.
func (c configProcess) ready() error {
	ctx, cancel := waittest.Context(context.Background())
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.http+"/readyz", nil)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, body)
	}
	return err
}

// standsBy reports whether the process waits for the one of an id.
func (c configProcess) standsBy(pid int) bool {
	err := c.ready()
	return err != nil && strings.Contains(err.Error(), "on standby") && strings.Contains(err.Error(), fmt.Sprintf("process %d on ", pid))
}

// Of two config services one acts. The other is not ready and says why, there and in the status; it takes over when the first is frozen,
// which then ends, and when one is stopped.
func TestOneOfTwoConfigServicesActs(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	folder := t.TempDir()
	if _, err := secret.LoadOrCreateKey(filepath.Join(folder, "seal.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "token"), []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	first := startConfig(t, "first", b.URL(), folder)
	waittest.NoError(t, "the first", first.ready)
	second := startConfig(t, "second", b.URL(), folder)
	waittest.Until(t, "the second to wait", func() bool { return second.standsBy(first.PID()) })
	// A slow disk is told too, while it is slow.
	waittest.NoError(t, "the second alone to tell of it", func() error {
		here, err := control.New(b.Conn()).Ping(t.Context(), time.Second)
		if err != nil {
			return err
		}
		told := map[int]string{}
		for _, p := range here {
			told[p.PID] = strings.Join(p.Notices, " ")
		}
		if len(told) != 2 || told[first.PID()] != "" || !strings.Contains(told[second.PID()], "on standby") {
			return fmt.Errorf("the notices are %v", told)
		}
		return nil
	})
	if err := syscall.Kill(first.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waittest.NoError(t, "the second to act", second.ready)
	if err := syscall.Kill(first.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	code, err := first.Wait()
	if err != nil || code == 0 || !strings.Contains(first.Output(), "another process has taken over") {
		t.Errorf("the first ended with %d, %v:\n%s", code, err, first.Output())
	}
	third := startConfig(t, "third", b.URL(), folder)
	waittest.Until(t, "the third to wait", func() bool { return third.standsBy(second.PID()) })
	if code, err := second.Stop(); err != nil || code != 0 {
		t.Errorf("the second ended with %d, %v:\n%s", code, err, second.Output())
	}
	waittest.NoError(t, "the third to act", third.ready)
}
