package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestTheQuickStartEndsWithADelivery runs the commands of the README's quick start, on free ports and in a directory of its own.
func TestTheQuickStartEndsWithADelivery(t *testing.T) {
	t.Parallel()
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	q := quickStart{t: t, root: root, dir: t.TempDir(), readme: string(readme)}
	q.server()
	listen := q.listen()
	var out string
	for _, line := range q.block("sh") {
		out = q.command(line)
	}
	if !strings.Contains(out, "DELIVERED") {
		t.Errorf("the event is not delivered:\n%s", out)
	}
	waittest.NoError(t, "the event is shown", func() error { return q.logged("listen", `"external_key": "INC-1"`) })
	if err := q.logged("listen", "signature valid"); err != nil {
		t.Error(err)
	}
	if code, err := listen.Interrupt(); code != 0 || err != nil {
		t.Errorf("interrupted, listen ends with %d, %v:\n%s", code, err, q.log("listen"))
	}
	for _, line := range q.block("sh recipient") {
		out = q.command(line)
	}
	if !strings.Contains(out, "DELIVERED") {
		t.Errorf("the delivery is not listed:\n%s", out)
	}
	waittest.NoError(t, "only the own recipient is left", func() error {
		if list := q.command("bin/outbound --data ./data recipients list"); strings.Contains(list, "listen-") ||
			!strings.Contains(list, "ticket-system") {
			return fmt.Errorf("there are\n%s", list)
		}
		return nil
	})
}

// quickStart has the README and the directory in which its commands run.
type quickStart struct {
	t                 *testing.T
	root, dir, readme string
}

// block returns the lines of the code block with an info string.
func (q *quickStart) block(info string) []string {
	q.t.Helper()
	_, rest, ok := strings.Cut(q.readme, "\n```"+info+"\n")
	text, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		q.t.Fatalf("the README has no block %q", info)
	}
	return strings.Split(text, "\n")
}

// server starts Outbound as the README says and waits until it is ready.
func (q *quickStart) server() {
	q.t.Helper()
	lines := q.block("sh server")
	args, ok := strings.CutPrefix(lines[len(lines)-1], "bin/outbound ")
	if lines[0] != "make build" || !ok {
		q.t.Fatalf("the server is not built and started by %q", lines)
	}
	picked := []string{"--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--nats", "127.0.0.1:0"}
	data := filepath.Join(q.dir, "data")
	q.start("outbound", harness.Binary("outbound"), append(strings.Fields(strings.ReplaceAll(args, "./data", data)), picked...))
	waittest.NoError(q.t, "Outbound is ready", func() error {
		_, err := os.Stat(filepath.Join(data, "endpoints.json"))
		return err
	})
}

// listen starts listening as the README says, and waits until it receives.
func (q *quickStart) listen() *harness.Process {
	q.t.Helper()
	lines := q.block("sh listen")
	args, ok := strings.CutPrefix(lines[0], "bin/outbound ")
	if len(lines) != 1 || !ok {
		q.t.Fatalf("listening is not started by %q", lines)
	}
	p := q.start("listen", harness.Binary("outbound"), strings.Fields(strings.ReplaceAll(args, "./data", filepath.Join(q.dir, "data"))))
	waittest.NoError(q.t, "listen receives", func() error { return q.logged("listen", "Ctrl-C ends it") })
	return p
}

func (q *quickStart) start(name, path string, args []string) *harness.Process {
	q.t.Helper()
	p, err := harness.Launch(harness.Command{Name: name, Path: path, Args: args, Log: filepath.Join(q.dir, name+".log")})
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(p.Kill)
	return p
}

func (q *quickStart) log(name string) string {
	text, err := os.ReadFile(filepath.Join(q.dir, name+".log"))
	if err != nil {
		q.t.Fatal(err)
	}
	return string(text)
}

func (q *quickStart) logged(name, text string) error {
	if got := q.log(name); !strings.Contains(got, text) {
		return fmt.Errorf("%s wrote %q", name, got)
	}
	return nil
}

// command runs a line in a shell and returns its output. It must succeed.
func (q *quickStart) command(line string) string {
	q.t.Helper()
	rest, ok := strings.CutPrefix(line, "bin/outbound ")
	if !ok {
		q.t.Fatalf("not a command of Outbound: %s", line)
	}
	cmd := exec.CommandContext(q.t.Context(), "bash", "-c", `"$OUTBOUND" `+rest)
	cmd.Dir = q.dir
	cmd.Env = append(os.Environ(), "OUTBOUND="+harness.Binary("outbound"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		q.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}
