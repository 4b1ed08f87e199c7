package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/tlog"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/history/internal/anchor"
	"github.com/outbound-events/outbound/services/history/internal/verify"
)

// system is a broker with a delivery log, and the keys of its checkpoints.
type system struct {
	t      testing.TB
	broker *bustest.Server
	dir    string
	keys   *tlog.Keys
	conn   *bus.Conn
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{t: t}
	s.broker = bustest.StartWith(t, func(o *server.Options) { s.dir = o.StoreDir })
	s.conn = s.broker.Conn()
	s.keys = newKeys(t)
	return s
}

func newKeys(t testing.TB) *tlog.Keys {
	t.Helper()
	raw, err := tlog.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := tlog.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// write writes the records of so many events from a number on: an acceptance, an attempt that fails and one that succeeds.
func (s *system) write(from, events int) {
	s.t.Helper()
	log := deliverylog.New(s.conn)
	defer log.Close()
	var all sync.WaitGroup
	done := func(err error) {
		// The repeat of what a slow broker has stored is refused.
		if err != nil && !errors.Is(err, delivery.ErrAlreadyRecorded) && !errors.Is(err, delivery.ErrConflict) {
			s.t.Error(err)
		}
		all.Done()
	}
	for n := from; n < from+events; n++ {
		all.Add(1)
		log.AppendIntake(event.IntakeRecord{EventID: fmt.Sprint("e", n), Appliance: "tux", Type: "audio", Accepted: true, Time: time.Now(),
			Sequence: uint64(n)}, done)
		all.Wait()
		for attempt, state := range []delivery.State{delivery.StateRetrying, delivery.StateDelivered} {
			all.Add(1)
			now := time.Now()
			log.AppendAttempt(delivery.Record{Recipient: "crm", Channel: "http", EventID: fmt.Sprint("e", n), Appliance: "tux", Type: "audio",
				Sequence: uint64(n), Attempt: attempt + 1, State: state, Reason: "http_status", LastAttempt: &now, Accepted: now}, done)
			all.Wait()
		}
	}
}

// keep runs a keeper of the tree until end is called.
func (s *system) keep() (k *anchor.Keeper, end func()) {
	s.t.Helper()
	log := deliverylog.NewReader(s.conn)
	k = anchor.New(anchor.Deps{Bus: s.conn, Log: deliverylog.NewRecords(s.conn), Checkpoints: checkpoints.New(s.conn), Keys: s.keys,
		Every: time.Hour, Lease: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { k.Run(ctx) })
	all.Go(func() {
		log.Follow(ctx, deliverylog.Follower{Newest: 1_000, Notify: k.Stored, CaughtUp: func() {}, Again: k.Again})
	})
	return k, func() {
		cancel()
		all.Wait()
	}
}

// cover signs a checkpoint over all that is stored.
func cover(t testing.TB, k *anchor.Keeper) {
	t.Helper()
	var err error
	waittest.Until(t, "a checkpoint", func() bool {
		err = k.Cover(t.Context())
		return !errors.Is(err, anchor.ErrElsewhere)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// covered is a system with the records of so many events that two checkpoints cover. Nothing runs.
func covered(t testing.TB, events int) *system {
	t.Helper()
	s := newSystem(t)
	k, end := s.keep()
	defer end()
	cover(t, k)
	s.write(0, events/2)
	cover(t, k)
	s.write(events/2, events-events/2)
	cover(t, k)
	if r := s.verify(verify.Request{}); len(r.Faults) > 0 || r.Records != uint64(3*events) || r.Covered != r.Records || r.Checkpoints != 2 {
		t.Fatalf("a log without faults: %+v", r)
	}
	return s
}

func (s *system) verifier() *verify.Verifier {
	return verify.New(verify.Deps{Log: deliverylog.NewRecords(s.conn), Checkpoints: checkpoints.New(s.conn), Keys: s.keys, Now: s.conn.Now})
}

func (s *system) verify(q verify.Request) verify.Result {
	s.t.Helper()
	r, err := s.verifier().Verify(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// message is a message of a block file.
type message struct {
	sequence, time        uint64
	subject, header, data []byte
}

// Lengths of a block file's records. See pkg/bus/storefile.
const (
	fixed    = 22
	checksum = 8
	withHead = 1 << 31
)

// edit changes the messages of a stream in its file, with valid checksums, while the broker is stopped.
func (s *system) edit(stream string, change func([]message) []message) {
	s.t.Helper()
	s.broker.Stop()
	dir := filepath.Join(s.dir, "jetstream", "$G", "streams", stream, "msgs")
	path := filepath.Join(dir, "1.blk")
	raw, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, encode(stream, change(decode(raw))), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	s.broker.Restart()
	s.conn = s.broker.Conn()
}

func decode(raw []byte) (out []message) {
	for len(raw) > 0 {
		length := binary.LittleEndian.Uint32(raw)
		n := int(length &^ withHead)
		m := message{sequence: binary.LittleEndian.Uint64(raw[4:]), time: binary.LittleEndian.Uint64(raw[12:])}
		rest := raw[fixed : n-checksum]
		subject := int(binary.LittleEndian.Uint16(raw[20:]))
		m.subject, rest = bytes.Clone(rest[:subject]), rest[subject:]
		if length&withHead != 0 {
			head := int(binary.LittleEndian.Uint32(rest))
			m.header, rest = bytes.Clone(rest[4:4+head]), rest[4+head:]
		}
		m.data = bytes.Clone(rest)
		out, raw = append(out, m), raw[n:]
	}
	return out
}

func encode(stream string, all []message) (out []byte) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, 1))
	for _, m := range all {
		h, _ := highwayhash.New64(key[:])
		n := fixed + len(m.subject) + len(m.data) + checksum
		length := uint32(n) //nolint:gosec // of a test
		if len(m.header) > 0 {
			length = uint32(n+4+len(m.header)) | withHead //nolint:gosec // of a test
		}
		var head []byte
		head = binary.LittleEndian.AppendUint32(head, length)
		head = binary.LittleEndian.AppendUint64(head, m.sequence)
		head = binary.LittleEndian.AppendUint64(head, m.time)
		head = binary.LittleEndian.AppendUint16(head, uint16(len(m.subject))) //nolint:gosec // of a test
		_, _ = h.Write(head[4:20])
		_, _ = h.Write(m.subject)
		out = append(append(out, head...), m.subject...)
		if len(m.header) > 0 {
			out = append(binary.LittleEndian.AppendUint32(out, uint32(len(m.header))), m.header...) //nolint:gosec // of a test
			_, _ = h.Write(m.header)
		}
		_, _ = h.Write(m.data)
		out = h.Sum(append(out, m.data...))
	}
	return out
}

// names are the faults in short.
func names(r verify.Result) (out []string) {
	for _, f := range r.Faults {
		s := fmt.Sprint(f.Kind, " ", f.Sequence)
		if f.Until > f.Sequence {
			s += fmt.Sprint("-", f.Until)
		}
		if f.Sequence == 0 {
			s = fmt.Sprint(f.Kind, " checkpoint ", f.Checkpoint)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// republish publishes a message as it was, as somebody does who writes a stream anew.
func republish(t testing.TB, c *bus.Conn, m message) {
	t.Helper()
	out := nats.NewMsg(string(m.subject))
	out.Data = m.data
	if len(m.header) > 0 {
		h, err := nats.DecodeHeadersMsg(m.header)
		if err != nil {
			t.Fatal(err)
		}
		out.Header = h
	}
	if _, err := c.JS.PublishMsg(t.Context(), out); err != nil {
		t.Fatal(err)
	}
}
