package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	url := q.receiver()
	for _, line := range q.block("sh") {
		q.command(strings.ReplaceAll(line, "http://127.0.0.1:9000/", url))
	}
	waittest.NoError(t, "the receiver has the event", func() error { return q.logged("receiver", "received appliance-1~") })
	waittest.NoError(t, "the delivery is recorded", func() error {
		if out := q.command("bin/outbound --data ./data deliveries list"); !strings.Contains(out, "DELIVERED") {
			return fmt.Errorf("no delivery in\n%s", out)
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

// receiver starts the example receiver and returns its URL.
func (q *quickStart) receiver() (url string) {
	q.t.Helper()
	words := strings.Fields(q.block("sh receiver")[0])
	if len(words) != 4 || words[0] != "go" || words[1] != "run" {
		q.t.Fatalf("the receiver is not started by %q", words)
	}
	binary := filepath.Join(q.dir, "receiver")
	build := exec.CommandContext(q.t.Context(), "go", "build", "-o", binary, words[2])
	build.Dir = q.root
	if out, err := build.CombinedOutput(); err != nil {
		q.t.Fatalf("%v: %v\n%s", build.Args, err, out)
	}
	q.start("receiver", binary, []string{"127.0.0.1:0"})
	address := regexp.MustCompile(`listening on (http://\S+/)\n`)
	waittest.NoError(q.t, "the receiver listens", func() error {
		found := address.FindStringSubmatch(q.log("receiver"))
		if found == nil {
			return fmt.Errorf("it wrote %q", q.log("receiver"))
		}
		url = found[1]
		return nil
	})
	return url
}

func (q *quickStart) start(name, path string, args []string) {
	q.t.Helper()
	p, err := harness.Launch(harness.Command{Name: name, Path: path, Args: args, Log: filepath.Join(q.dir, name+".log")})
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(p.Kill)
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
