package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

// refuses starts a binary that must not start, and returns what it wrote.
func refuses(t *testing.T, binary string, env []string, args ...string) string {
	t.Helper()
	p, err := harness.Launch(harness.Command{
		Name: binary, Path: harness.Binary(binary), Args: args, Env: env, Log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	code, err := p.Wait()
	if err != nil || code == 0 {
		t.Fatalf("%s %v: exit code %d, %v, want a refusal; it wrote:\n%s", binary, args, code, err, p.Output())
	}
	return p.Output()
}

func says(t *testing.T, output string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(output, w) {
			t.Errorf("it wrote %q, which lacks %q", output, w)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "options.yaml")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func binaries() []string {
	return []string{"config", "ingest", "http-sender", "email-sender", "history", "console"}
}

func TestUnknownOptionsAreRefusedWithFilePathAndRemedy(t *testing.T) {
	t.Parallel()
	file := write(t, "logLevl: debug\n")
	for _, binary := range binaries() {
		t.Run(binary, func(t *testing.T) { says(t, refuses(t, binary, nil, "--options", file), file, "logLevl") })
	}
	t.Run("outbound", func(t *testing.T) {
		file := write(t, "htpp: 127.0.0.1:0\n")
		says(t, refuses(t, "outbound", nil, "run", "--data", t.TempDir(), "--options", file), file, "htpp", "http")
	})
}

func TestMalformedOptionsAreRefusedWithFileAndLine(t *testing.T) {
	t.Parallel()
	file := write(t, "logLevel: info\n  bad: [indent\n")
	for _, binary := range binaries() {
		t.Run(binary, func(t *testing.T) { says(t, refuses(t, binary, nil, "--options", file), file) })
	}
	t.Run("outbound", func(t *testing.T) {
		says(t, refuses(t, "outbound", nil, "run", "--data", t.TempDir(), "--options", file), file)
	})
}

func TestUnknownVariablesAreRefused(t *testing.T) {
	t.Parallel()
	for _, binary := range binaries() {
		t.Run(binary, func(t *testing.T) {
			says(t, refuses(t, binary, []string{"OUTBOUND_NONSENSE=1"}), "OUTBOUND_NONSENSE")
		})
	}
}

func TestAMissingOptionsFileIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "absent.yaml")
	for _, binary := range binaries() {
		t.Run(binary, func(t *testing.T) { says(t, refuses(t, binary, nil, "--options", file), file) })
	}
}

func TestATakenPortNamesItsFlag(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, flag := range []string{"--http", "--grpc", "--nats"} {
		t.Run(flag, func(t *testing.T) {
			args := append(harness.RunArguments(filepath.Join(t.TempDir(), "data"), "always"), flag, l.Addr().String())
			out := strings.TrimSpace(refuses(t, "outbound", nil, args...))
			lines := strings.Split(out, "\n")
			says(t, lines[len(lines)-1], flag, l.Addr().String())
		})
	}
}

func TestASecondProcessOnTheSameDataRefuses(t *testing.T) {
	t.Parallel()
	h := harness.Start(t, harness.AllInOne)
	data := filepath.Join(h.Dir, "data")
	says(t, refuses(t, "outbound", nil, harness.RunArguments(data, "always")...), data)
	h.REST.Do(t, "GET", "/v1/status", nil) // the first one goes on
	h.Stop(t)
}

func TestWrongFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, value, option string }{
		{"--url-policy", "everything", "urlPolicy"}, {"--allow-egress", "loopback", "allowEgress"}, {"--sync", "sometimes", "sync"},
	} {
		t.Run(c.flag, func(t *testing.T) {
			says(t, refuses(t, "outbound", nil, "run", "--data", t.TempDir(), c.flag, c.value), c.option, c.value)
		})
	}
}
