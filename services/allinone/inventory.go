package allinone

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
)

// inventoryEvery is how often the inventory is written, if something was stored.
const inventoryEvery = time.Second

// inventory is where it is said how far the streams had come: beside the broker's folder, not in it.
func (o Options) inventoryFile() storecheck.File {
	return storecheck.File{Path: filepath.Join(o.Data, fileInventory)}
}

// checkFiles reads the broker's files before it does: it would cut off, skip or forget what it cannot read. What can be mended without a
// loss is mended, and told.
func (r *runtime) checkFiles(ctx context.Context) error {
	if err := makeData(r.o.Data); err != nil {
		return err
	}
	dir := filepath.Join(r.o.Data, folderBroker)
	known, err := r.o.inventoryFile().Load(ctx)
	if err != nil {
		return err
	}
	store := embed.Store{Dir: dir, Key: r.brokerKey}
	report, err := embed.InspectStore(store)
	if err != nil {
		return brokerFault(r.o, err)
	}
	lost, mendable := storecheck.Files(report, known)
	if len(lost) > 0 {
		return errors.Join(damaged(r.o, storecheck.Damage(lost)), removeEndpoints(r.o.Data))
	}
	if len(mendable) == 0 {
		return nil
	}
	aside, err := embed.MendStore(ctx, store, mendable, r.o.Streams)
	if err != nil {
		return brokerFault(r.o, err)
	}
	r.notices.Set("store.mended", storecheck.Mended(mendable, aside))
	return nil
}

// openStore makes the streams at a first start, and refuses a store that has lost something.
func (r *runtime) openStore(ctx context.Context, core *bus.Conn) error {
	r.inventory = storecheck.NewWatcher(storecheck.Options{Conn: core, Keeper: r.o.inventoryFile(), Every: inventoryEvery, Notices: r.notices,
		Logger: r.telemetry.Logger})
	if err := r.inventory.Open(ctx, r.o.Streams); err != nil {
		return damaged(r.o, err)
	}
	r.group.Add("inventory", r.inventory.Run)
	return nil
}

// damaged says what to do about a damaged store.
func damaged(o Options, err error) error {
	if !errors.Is(err, bus.ErrDamaged) {
		return err
	}
	return fmt.Errorf("--data %s: %w: the start was refused and nothing was changed: restore a backup, or see what a repair would do: "+
		"outbound repair --data %s --dry-run", o.Data, err, o.Data)
}
