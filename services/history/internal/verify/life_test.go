package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/history/internal/verify"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func TestANewKeeperGoesOnWhereTheTreeEnds(t *testing.T) {
	s := newSystem(t)
	for n := range 3 {
		k, end := s.keep()
		cover(t, k)
		s.write(n*4, 2)
		cover(t, k)
		end()
		s.write(n*4+2, 2) // while nobody keeps the tree
		s.broker.Restart()
		s.conn = s.broker.Conn()
	}
	k, end := s.keep()
	defer end()
	cover(t, k)
	r := s.verify(verify.Request{})
	if len(r.Faults) > 0 || r.Covered != 36 || r.Records != 36 || r.HeadNumber != r.Checkpoints {
		t.Errorf("%+v", r)
	}
	// Another process waits, and takes over.
	other, endOther := s.keep()
	defer endOther()
	s.write(20, 2)
	cover(t, k)
	end()
	s.write(22, 2)
	cover(t, other)
	if r := s.verify(verify.Request{}); len(r.Faults) > 0 || r.Covered != 48 {
		t.Errorf("%+v", r)
	}
}

func TestRecordsOfOlderReleasesAreCovered(t *testing.T) {
	s := newSystem(t)
	for range 30 {
		republish(t, s.conn, message{subject: []byte("outbound.history.intake.tux.rejected.-"), data: []byte(`{"appliance":"tux"}`)})
	}
	k, end := s.keep()
	cover(t, k)
	s.write(0, 2)
	cover(t, k)
	end()
	if r := s.verify(verify.Request{}); len(r.Faults) > 0 || r.Covered != 36 || r.Chained != 6 {
		t.Errorf("%+v", r)
	}
	s.edit(bus.StreamHistory, func(all []message) []message {
		all[11].data[2] ^= 1
		return all
	})
	expect(t, s, "CHANGED 12")
}

func TestRecordsThatTheLogDropsByItselfAreNoFaults(t *testing.T) {
	s := covered(t, 8)
	stream, err := s.conn.JS.Stream(t.Context(), bus.StreamHistory)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgs = 10
	if _, err := s.conn.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if r := s.verify(verify.Request{}); len(r.Faults) > 0 || r.Records != 10 || r.First != 15 {
		t.Errorf("%+v", r)
	}
	// Those that were removed although the log keeps them are.
	config.MaxMsgs = 20
	if _, err := s.conn.JS.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if r := s.verify(verify.Request{}); len(r.Faults) != 10 || r.Faults[0].Sequence != 5 || r.Faults[0].Kind != "REMOVED" {
		t.Errorf("%+v", r)
	}
}

func TestSinceComparesTheNewestAlone(t *testing.T) {
	s := covered(t, 8)
	second := s.verify(verify.Request{}).HeadTime
	s.edit(bus.StreamHistory, func(all []message) []message {
		all[1].data[2] ^= 1
		all[20].data[2] ^= 1
		return all
	})
	r := s.verify(verify.Request{Since: second})
	if got := names(r); !slices.Equal(got, []string{"CHANGED 21"}) || r.First != 13 {
		t.Errorf("%+v", r)
	}
	if r := s.verify(verify.Request{Since: time.Now().Add(time.Hour)}); len(r.Faults) > 0 || r.Records > 0 {
		t.Errorf("%+v", r)
	}
}

func TestALogWhoseEndWasLostIsNamedAndGoesOn(t *testing.T) {
	s := covered(t, 8)
	s.edit(bus.StreamHistory, func(all []message) []message { return all[:20] })
	k, end := s.keep()
	defer end()
	s.write(50, 2) // 21 to 26
	cover(t, k)
	expect(t, s, "REMOVED 21", "REMOVED 22", "REMOVED 23", "REMOVED 24")
}

// TestWhatIsChangedBeforeItIsCoveredIsFound changes a record and its digest before a checkpoint covers it.
func TestWhatIsChangedBeforeItIsCoveredIsFound(t *testing.T) {
	s := newSystem(t)
	s.write(0, 4)
	s.edit(bus.StreamHistory, func(all []message) []message {
		m := &all[4]
		m.data[2] ^= 1
		m.header = withDigest(t, *m)
		return all
	})
	k, end := s.keep()
	defer end()
	cover(t, k)
	expect(t, s, "CHANGED 5")
}

func TestABackupVerifies(t *testing.T) {
	s := newSystem(t)
	k, end := s.keep()
	cover(t, k)
	s.write(0, 4)
	cover(t, k)
	s.write(4, 2)
	path := filepath.Join(t.TempDir(), "backup.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	h := backup.Header{CreateTime: time.Now(), Deliveries: true}
	_, err = backup.Take(t.Context(), s.conn, backup.Options{Header: h, Began: func(p backup.Part) {
		if p.Name == bus.StreamNotices {
			s.write(6, 1) // of an event that is not in the backup: a restore removes them
			cover(t, k)
		}
	}}, f)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	end()
	opened, err := backup.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	other := newSystem(t)
	other.keys = s.keys
	done, err := backup.Restore(t.Context(), other.conn, opened, backup.RestoreOptions{Streams: bustest.StreamOptions()})
	if err != nil || done.RemovedRecords != 3 {
		t.Fatal(done, err)
	}
	if r := other.verify(verify.Request{}); len(r.Faults) > 0 || r.Records != 18 {
		t.Errorf("after the restore: %+v", r)
	}
	k, end = other.keep()
	defer end()
	other.write(20, 2)
	cover(t, k)
	if r := other.verify(verify.Request{}); len(r.Faults) > 0 || r.Covered != 24 || r.Records != 24 {
		t.Errorf("it goes on: %+v", r)
	}
}

func TestReceiptsOfAllRecordsVerifyWithoutTheServer(t *testing.T) {
	s := covered(t, 8)
	s.write(8, 1)
	v := s.verifier()
	var sequences []uint64
	for i := range uint64(24) {
		sequences = append(sequences, i+1)
	}
	records, err := v.Prove(t.Context(), sequences)
	if err != nil || len(records) != 24 {
		t.Fatal(len(records), err)
	}
	raw, err := json.Marshal(tlog.Receipt{Format: tlog.ReceiptFormat, Records: records})
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := tlog.Trust(s.keys.Public())
	if err != nil {
		t.Fatal(err)
	}
	verified := func(raw []byte) error {
		var r tlog.Receipt
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		_, err := r.Verify(trusted)
		return err
	}
	if err := verified(raw); err != nil {
		t.Error(err)
	}
	if err := verified(bytes.Replace(raw, []byte(`RETRYING`), []byte(`EXPIRED_`), 1)); err == nil {
		t.Error("a changed receipt verifies")
	}
	if _, err := v.Prove(t.Context(), []uint64{25}); !errors.Is(err, verify.ErrNotCovered) {
		t.Errorf("a record that no checkpoint covers: %v", err)
	}
	if _, err := v.Prove(t.Context(), []uint64{99}); !errors.Is(err, verify.ErrGone) {
		t.Errorf("a record that is not there: %v", err)
	}
	s.edit(bus.StreamHistory, func(all []message) []message {
		all[2].data[2] ^= 1
		return all
	})
	if _, err := s.verifier().Prove(t.Context(), []uint64{3}); !errors.Is(err, verify.ErrNotTheSame) {
		t.Errorf("a record that was changed: %v", err)
	}
}

// withDigest is the header of a message with the digest of what it holds now.
func withDigest(t *testing.T, m message) []byte {
	t.Helper()
	lines := bytes.Split(m.header, []byte("\r\n"))
	headers := map[string][]string{}
	for _, l := range lines[1:] {
		if name, value, ok := bytes.Cut(l, []byte(":")); ok {
			headers[string(name)] = []string{string(bytes.TrimSpace(value))}
		}
	}
	digest := chain.DigestOf(string(m.subject), headers, m.data).String()
	return bytes.Replace(m.header, []byte(headers[chain.HeaderDigest][0]), []byte(digest), 1)
}
