package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
)

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	// Streams are the bounds of streams that the backup does not have. Replicas is how many copies the broker keeps of all streams.
	Streams wire.StreamOptions
	// ConfigurationOnly leaves queues and delivery log out.
	ConfigurationOnly bool
	// Actor is who restores, for the revisions.
	Actor string
	// Progress is called while a part is restored, with the bytes of the file that the broker has got.
	Progress func(p Part, done int64)
	// Inventory is where the services look up what the store held. Nil: in the broker.
	Inventory storecheck.Keeper
	// Synced is called when all is restored, before the store may be used: it waits until all is on the disk. Nil: nothing is done.
	Synced func() error
}

// Result is what a restore has done.
type Result struct {
	// Parts are what was restored.
	Parts []Part
	// RemovedRecords is how many records were removed that are of events which are not in the backup.
	RemovedRecords int
}

// Restore replaces all streams and buckets by those of a backup, except for AUDIT, which goes on if it holds entries; what the backup does
// not have is empty afterwards. Nobody else may use the broker meanwhile. If it fails, the services do not start until it was run again and
// has succeeded.
func Restore(ctx context.Context, c *wire.Conn, f *File, o RestoreOptions) (Result, error) {
	r := restorer{conn: c, file: f, o: o}
	if err := r.begin(ctx); err != nil {
		return Result{}, err
	}
	if err := r.removeAll(ctx); err != nil {
		return Result{}, err
	}
	if err := r.parts(ctx); err != nil {
		return Result{}, err
	}
	if err := c.CreateStreams(ctx, o.Streams); err != nil {
		return Result{}, err
	}
	if err := (storecheck.Bucket{Conn: c}).Forget(ctx); err != nil {
		return Result{}, err
	}
	if err := r.forward(ctx); err != nil {
		return Result{}, err
	}
	removed, err := r.trim(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := r.note(ctx); err != nil {
		return Result{}, err
	}
	if o.Inventory == nil {
		o.Inventory = storecheck.Bucket{Conn: c}
	}
	if err := storecheck.Adopt(ctx, c, o.Inventory); err != nil {
		return Result{}, err
	}
	if o.Synced != nil {
		if err := o.Synced(); err != nil {
			return Result{}, err
		}
	}
	if err := c.JS.DeleteStream(ctx, names.StreamRestore); err != nil {
		return Result{}, fmt.Errorf("mark the restore as finished: %w", err)
	}
	return Result{Parts: r.restored, RemovedRecords: removed}, nil
}

type restorer struct {
	conn     *wire.Conn
	file     *File
	o        RestoreOptions
	restored []Part
	// keep are the parts that stay as they are.
	keep []string
	// current is the part under way.
	current     *restoration
	currentPart Part
	done        int64
}

// begin marks the store as incomplete.
func (r *restorer) begin(ctx context.Context) error {
	_, err := r.conn.JS.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: names.StreamRestore, Subjects: []string{names.SubjectRestore}, Storage: jetstream.FileStorage, Replicas: r.o.Streams.Replicas,
		Description: filepath.Base(r.file.Path), MaxMsgs: 1,
	})
	if err != nil {
		return fmt.Errorf("mark the restore as begun: %w", err)
	}
	return nil
}

// note writes the revision that says who restored the backup.
func (r *restorer) note(ctx context.Context) error {
	b, err := r.conn.Bucket(ctx, names.BucketSettings)
	if err != nil {
		return err
	}
	last, err := b.Get(ctx, AuditKey)
	if err != nil && !errors.Is(err, wire.ErrNotFound) {
		return err
	}
	if _, err = b.Write(ctx, AuditKey, nil, last.Revision, wire.Note{Actor: r.o.Actor, Action: "restored"}); err != nil {
		return err
	}
	_, err = auditlog.New(r.conn).Append(ctx, audit.Entry{Action: "backup.restore", Object: "backups", Outcome: audit.OK, Actor: r.o.Actor,
		Origin: audit.Origin{Via: "local"}, Request: fmt.Appendf(nil, `{"createTime":%q}`, r.file.CreateTime.UTC().Format(time.RFC3339))})
	return err
}

// removeAll removes the streams and buckets that are there.
func (r *restorer) removeAll(ctx context.Context) error {
	for _, s := range sources() {
		if s.kept {
			found, err := r.conn.JS.Stream(ctx, s.stream)
			if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("look up %s: %w", s.name, err)
			}
			if err == nil && found.CachedInfo().State.Msgs > 0 {
				r.keep = append(r.keep, s.name)
				continue
			}
		}
		if err := r.conn.JS.DeleteStream(ctx, s.stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("remove %s: %w", s.name, err)
		}
	}
	return nil
}

// wanted reports whether a part is to be restored.
func (r *restorer) wanted(name string) bool {
	i := slices.IndexFunc(sources(), func(s source) bool { return s.name == name })
	return i >= 0 && !slices.Contains(r.keep, name) && (!r.o.ConfigurationOnly || !sources()[i].deliveries)
}

// parts restores the parts of the file in their order.
func (r *restorer) parts(ctx context.Context) error {
	f, err := os.Open(r.file.Path)
	if err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	defer func() { _ = f.Close() }()
	defer func() {
		if r.current != nil {
			r.current.abandon()
		}
	}()
	err = walk(f, func(name string, content []byte) error {
		part, piece, ok := strings.Cut(name, "/")
		if !ok || !r.wanted(part) {
			return r.finish(ctx)
		}
		if piece == memberStream {
			if err := r.finish(ctx); err != nil {
				return err
			}
			return r.start(ctx, part)
		}
		if err := r.current.write(content); err != nil {
			return fmt.Errorf("restore %s: %w", part, err)
		}
		r.done += int64(len(content))
		if r.o.Progress != nil {
			r.o.Progress(r.currentPart, r.done)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.finish(ctx)
}

func (r *restorer) start(ctx context.Context, part string) error {
	i := slices.IndexFunc(r.file.Parts, func(p Part) bool { return p.Name == part })
	j := slices.IndexFunc(sources(), func(s source) bool { return s.name == part })
	if i < 0 || j < 0 {
		return fmt.Errorf("restore %s: %w: the manifest does not list it", part, ErrDamaged)
	}
	as, err := r.file.streams[part].withReplicas(max(1, r.o.Streams.Replicas))
	if err != nil {
		return err
	}
	r.currentPart, r.done = r.file.Parts[i], 0
	if r.current, err = restore(ctx, r.conn, sources()[j].stream, as); err != nil {
		return fmt.Errorf("restore %s: %w", part, err)
	}
	return nil
}

// finish ends the part under way, if there is one, and compares the end of the stream with the backup's.
func (r *restorer) finish(ctx context.Context) error {
	if r.current == nil {
		return nil
	}
	name := r.currentPart.Name
	last, err := r.current.end(ctx)
	if err != nil {
		return fmt.Errorf("restore %s: %w", name, err)
	}
	want, err := r.file.streams[name].state()
	if err != nil {
		return err
	}
	if last != want.LastSeq {
		return fmt.Errorf("restore %s: it ends with sequence %d, not with %d as in the backup", name, last, want.LastSeq)
	}
	r.restored, r.current = append(r.restored, r.currentPart), nil
	return nil
}

// forward has the sequences of EVENTS go on where they were, if its messages are not restored: recipients begin at a sequence.
func (r *restorer) forward(ctx context.Context) error {
	s, err := r.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	want := r.file.EventsSequence
	if s.CachedInfo().State.LastSeq >= want {
		return nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(want+1)); err != nil {
		return fmt.Errorf("set the next sequence of %s to %d: %w", names.StreamEvents, want+1, err)
	}
	i, err := s.Info(ctx)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	if i.State.LastSeq != want {
		return fmt.Errorf("set the next sequence of %s to %d: it is %d", names.StreamEvents, want+1, i.State.LastSeq+1)
	}
	return nil
}
