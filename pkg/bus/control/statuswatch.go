package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// statusWatch is what is watched in the bucket of statuses. One goroutine calls its functions; begin and complete may be nil.
type statusWatch struct {
	// keys is a pattern.
	keys string
	// begin is called before the first entry, complete when all that is stored has been told.
	begin, complete func()
	// tell is called with every entry that is stored and then with each change.
	tell func(jetstream.KeyValueEntry)
}

// watchStatus watches until ctx ends. An error says why it ended earlier: it is to be called again.
func watchStatus(ctx context.Context, conn *wire.Conn, o statusWatch) error {
	b, err := conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	connects := conn.Connects()
	w, err := b.KV.Watch(ctx, o.keys)
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", names.BucketStatus, err)
	}
	defer conn.StopWatch(w)
	if o.begin != nil {
		o.begin()
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if conn.Connected() && conn.Connects() != connects {
				return errors.New("the connection was replaced")
			}
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return errors.New("the watch ended")
			case e != nil:
				o.tell(e)
			case o.complete != nil:
				o.complete()
			}
		}
	}
}
