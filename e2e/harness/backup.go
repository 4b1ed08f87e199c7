package harness

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// keptKey is where WipeStore keeps the seal key of the all-in-one, as an operator keeps it elsewhere.
const keptKey = "kept-seal.key"

// Outbound runs the command line with the admin token, and returns what it wrote to standard output. The error has the rest.
func (h *System) Outbound(ctx context.Context, args ...string) (string, error) {
	return run(ctx, []string{"OUTBOUND_URL=" + h.REST.Base, "OUTBOUND_TOKEN=" + h.REST.Token}, args...)
}

func run(ctx context.Context, env []string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, Binary("outbound"), args...) //nolint:gosec // our own binary
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("outbound %v: %w: %s", args, err, errs.String())
	}
	return out.String(), nil
}

// WipeStore kills every process and removes all that the broker has stored, as the loss of its disk does. Of the all-in-one the whole
// data directory is gone; its seal key was kept elsewhere.
func (h *System) WipeStore(t T) {
	t.Helper()
	for _, p := range slices.Backward(h.parts) {
		h.Kill(t, p.name)
	}
	store := filepath.Join(h.Dir, "nats", "store")
	if h.Shape == AllInOne {
		store = filepath.Join(h.Dir, "data")
		key, err := os.ReadFile(filepath.Join(store, "seal.key"))
		if err == nil {
			err = os.WriteFile(filepath.Join(h.Dir, keptKey), key, 0o600)
		}
		if err != nil {
			t.Fatalf("keep the seal key: %v", err)
		}
	}
	if err := os.RemoveAll(store); err != nil {
		t.Fatalf("remove the store: %v", err)
	}
	if h.Shape == Services {
		h.StartPart(t, broker)
	}
}

// Restore runs `outbound restore` with the arguments, on the store that WipeStore has emptied.
func (h *System) Restore(ctx context.Context, t T, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"restore"}, args...)
	if h.Shape == AllInOne {
		return run(ctx, nil, append(args, "--data", filepath.Join(h.Dir, "data"), "--seal-key", filepath.Join(h.Dir, keptKey))...)
	}
	config := h.part(t, "config")
	return run(ctx, config.env, append(args, config.args...)...)
}

// Resume starts everything after a restore: the broker first, which learns message ids only as it starts.
func (h *System) Resume(t T) {
	t.Helper()
	if h.Shape == Services {
		h.Kill(t, broker)
	}
	h.StartAll(t)
}
