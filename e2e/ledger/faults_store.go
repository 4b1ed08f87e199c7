package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/bus"
)

// damage is a way to lose stored events.
type damage struct {
	name string
	// do gets the folder of EVENTS.
	do func(events string) error
}

func damages() []damage {
	return []damage{
		{"the folder of EVENTS is gone", os.RemoveAll},
		{"the last 3,000 bytes of EVENTS are cut off", func(events string) error {
			return onBlock(events, func(f *os.File, size int64) error { return f.Truncate(size - cutBytes) })
		}},
		{"16 bytes in the middle of EVENTS are changed", func(events string) error {
			return onBlock(events, func(f *os.File, size int64) error {
				b := make([]byte, changedBytes)
				if _, err := f.ReadAt(b, size/2); err != nil {
					return err
				}
				for i := range b {
					b[i] ^= 0x5a
				}
				_, err := f.WriteAt(b, size/2)
				return err
			})
		}},
	}
}

const (
	cutBytes     = 3000
	changedBytes = 16
)

// onBlock opens the last of the files with events that is large enough to lose something.
func onBlock(events string, do func(f *os.File, size int64) error) error {
	blocks, err := filepath.Glob(filepath.Join(events, "msgs", "*.blk"))
	if err != nil {
		return err
	}
	slices.SortFunc(blocks, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	for _, block := range slices.Backward(blocks) {
		info, err := os.Stat(block)
		if err != nil {
			return err
		}
		if info.Size() <= 2*cutBytes {
			continue
		}
		f, err := os.OpenFile(block, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(do(f, info.Size()), f.Close())
	}
	return fmt.Errorf("no file in %s has more than %d bytes", events, 2*cutBytes)
}

// storeDamaged stops the all-in-one and damages the events in its store. The next start must be refused; after a repair it must work, and
// each event that is gone must be accounted for.
func storeDamaged(w *world, rnd *rand.Rand) (string, func()) {
	data := filepath.Join(w.system.Dir, "data")
	w.stop(harness.One)
	all := damages()
	damage := all[rnd.IntN(len(all))]
	if err := damage.do(filepath.Join(data, "broker", "jetstream", "CORE", "streams", bus.StreamEvents)); err != nil {
		w.Fatalf("damage the store: %v", err)
	}
	var c harness.Command
	w.system.Alter(w, harness.One, func(one *harness.Command) { c = *one })
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	outbound := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, c.Path, args...) //nolint:gosec // the binary under test
		cmd.Env = append([]string{}, c.Env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := outbound(c.Args...)
	if ended := (*exec.ExitError)(nil); !errors.As(err, &ended) || !strings.Contains(out, "store is damaged") {
		w.Fatalf("%s, and the start was not refused for that: %v %.300s", damage.name, err, out)
	}
	if out, err = outbound("repair", "--data", data, "--yes"); err != nil {
		w.Fatalf("repair: %v: %s", err, out)
	}
	_, repaired, _ := strings.Cut(out, "repaired: ")
	return damage.name + "; " + strings.TrimSpace(repaired), func() { w.start(harness.One) }
}
