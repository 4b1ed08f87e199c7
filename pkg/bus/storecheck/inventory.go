package storecheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// Mark is how far a stream had come.
type Mark struct {
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Messages uint64 `json:"messages"`
	// Holes are the sequences between First and Last that a repair has given up.
	Holes uint64 `json:"holes,omitempty"`
	// FirstTime is when its first message was stored; zero if there is none.
	FirstTime time.Time `json:"firstTime,omitzero"`
	// Used is the part of its bound of bytes that was used, from 0 to 1.
	Used float64 `json:"used,omitempty"`
}

// Inventory is what is known of the store.
type Inventory struct {
	Streams map[string]Mark `json:"streams"`
	// Repairs tell what was lost, oldest first.
	Repairs []Done `json:"repairs,omitempty"`
}

// Done is a repair.
type Done struct {
	Time time.Time `json:"time"`
	// Text tells what was lost, in words.
	Text string `json:"text"`
	// Acknowledged says that somebody has read it.
	Acknowledged bool `json:"acknowledged,omitempty"`
}

// toldFor is how long a repair is told of unless somebody acknowledges it.
const toldFor = 7 * 24 * time.Hour

// Told are the texts of repairs that people are to be told of.
func (i *Inventory) Told(now time.Time) (out []string) {
	if i == nil {
		return nil
	}
	for _, d := range i.Repairs {
		if !d.Acknowledged && now.Sub(d.Time) < toldFor {
			out = append(out, fmt.Sprintf("The store was repaired on %s: %s. Confirm with outbound repair --acknowledge.",
				d.Time.UTC().Format(time.DateTime), d.Text))
		}
	}
	return out
}

// Keeper keeps an inventory. Load returns nil if there is none.
type Keeper interface {
	Load(ctx context.Context) (*Inventory, error)
	Save(ctx context.Context, i Inventory) error
}

// File keeps the inventory in a file.
type File struct{ Path string }

// Load implements Keeper.
func (f File) Load(context.Context) (*Inventory, error) {
	raw, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	var i Inventory
	if json.Unmarshal(raw, &i) == nil {
		return &i, nil
	}
	return nil, nil // it is not synced, so that a power loss may leave less than all of it: it says nothing
}

// Save implements Keeper. The file is there whole or not at all.
func (f File) Save(_ context.Context, i Inventory) error {
	raw, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	if err = os.WriteFile(f.Path+".new", append(raw, '\n'), 0o600); err == nil {
		err = os.Rename(f.Path+".new", f.Path)
	}
	if err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	return nil
}

// keyInventory is where the inventory is in the bucket of statuses.
const keyInventory = "mark.store"

// Bucket keeps the inventory in the bucket of statuses, for a broker that is not ours. It is lost with that bucket; the other streams
// tell then that the bucket is missing.
type Bucket struct{ Conn *wire.Conn }

// Load implements Keeper.
func (b Bucket) Load(ctx context.Context) (*Inventory, error) {
	kv, err := b.Conn.Bucket(ctx, names.BucketStatus)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	e, err := kv.Get(ctx, keyInventory)
	if errors.Is(err, wire.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	var i Inventory
	if json.Unmarshal(e.Value, &i) == nil {
		return &i, nil
	}
	return nil, nil // a value that is damaged says nothing
}

// Save implements Keeper.
func (b Bucket) Save(ctx context.Context, i Inventory) error {
	kv, err := b.Conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	raw, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	if _, err := kv.KV.Put(ctx, keyInventory, raw); err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	return nil
}

// state is what a stream says of itself.
type state struct {
	Mark
	deleted  int
	replicas int
}

// states asks all streams of ours, with one request for up to 256 of them. One that is missing is not in the answer. If one has no leader
// now, the whole fails.
func states(ctx context.Context, c *wire.Conn) (map[string]state, error) {
	known := wire.StreamNames()
	out := map[string]state{}
	all, err := wire.ListStreams(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if !slices.Contains(known, i.Config.Name) {
			continue
		}
		s := state{Mark: Mark{First: i.State.FirstSeq, Last: i.State.LastSeq, Messages: i.State.Msgs}, deleted: i.State.NumDeleted,
			replicas: i.Config.Replicas}
		if i.State.Msgs > 0 {
			s.FirstTime = i.State.FirstTime
		}
		if i.Config.MaxBytes > 0 {
			s.Used = float64(i.State.Bytes) / float64(i.Config.MaxBytes)
		}
		out[i.Config.Name] = s
	}
	return out, nil
}

// title is how people know a stream: buckets by their own name.
func title(stream string) string {
	if bucket, ok := strings.CutPrefix(stream, wire.BucketStream("")); ok {
		return "bucket " + bucket
	}
	return "stream " + stream
}

// Adopt writes the inventory of a store that was just filled, if a stream lacks something inside: that was never in it.
func Adopt(ctx context.Context, c *wire.Conn, k Keeper) error {
	have, err := states(ctx, c)
	if err != nil {
		return err
	}
	if have[names.StreamEvents].deleted == 0 && have[names.StreamHistory].deleted == 0 && have[names.StreamAudit].deleted == 0 {
		return nil
	}
	next := Inventory{Streams: map[string]Mark{}}
	for name, s := range have {
		s.Holes = uint64(max(s.deleted, 0))
		next.Streams[name] = s.Mark
	}
	if _, is := k.(Bucket); is {
		// To write the inventory there changes that stream itself.
		next.Streams[wire.BucketStream(names.BucketStatus)] = Mark{}
	}
	return k.Save(ctx, next)
}

// Forget removes the inventory, for a store that was replaced by another.
func (b Bucket) Forget(ctx context.Context) error {
	kv, err := b.Conn.Bucket(ctx, names.BucketStatus)
	if err == nil {
		_, err = kv.Get(ctx, keyInventory) // a deletion is an entry too
	}
	if err == nil {
		err = kv.Delete(ctx, keyInventory, 0)
	}
	if err != nil && !errors.Is(err, wire.ErrNotFound) {
		return fmt.Errorf("remove the inventory: %w", err)
	}
	return nil
}
