package tlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
)

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

// proven is a record that is not proven yet.
func proven(n uint64) tlog.Proven {
	return tlog.Proven{
		Sequence: n, Stored: time.Unix(1_700_000_000, int64(n)).UTC(), Subject: fmt.Sprint("outbound.history.intake.tux.accepted.", n),
		Headers: map[string][]string{"Nats-Msg-Id": {fmt.Sprint("intake/", n)}, "Outbound-Record": {"a/b/c"}}, Data: fmt.Sprintf(`{"n":%d}`, n),
	}
}

func entry(n uint64) tlog.Entry {
	p := proven(n)
	return tlog.Entry{Sequence: p.Sequence, Stored: p.Stored, Subject: p.Subject, Digest: chain.DigestOf(p.Subject, p.Headers, []byte(p.Data))}
}

// segments are those of a tree with so many leaves, so many in each, with a checkpoint in each third.
func segments(t testing.TB, k *tlog.Keys, leaves, each int) (out []tlog.Segment) {
	t.Helper()
	tree, err := tlog.NewTree(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < leaves; {
		s := tlog.Segment{Start: tree.Size(), Left: tree.Left()}
		for i := 0; i < each && n < leaves; i++ {
			n++
			s.Entries = append(s.Entries, entry(uint64(n)))
			if err := tree.Append(entry(uint64(n))); err != nil {
				t.Fatal(err)
			}
		}
		if len(out)%3 == 2 || n == leaves {
			root, err := tree.Root()
			if err != nil {
				t.Fatal(err)
			}
			if s.Signed, err = k.Sign(tlog.Checkpoint{Size: tree.Size(), Root: root, Number: uint64(len(out)), Time: time.Unix(1, 5)}); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, s)
	}
	return out
}

func TestAReceiptOfEachRecordVerifiesAndAChangedOneDoesNot(t *testing.T) {
	k := newKeys(t)
	trusted, err := tlog.Trust(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	const leaves = 37
	all := segments(t, k, leaves, 4)
	for at, s := range all {
		for i := range s.Entries {
			end := at
			for len(all[end].Signed) == 0 {
				end++
			}
			index := s.Start + uint64(i)
			proofs, err := tlog.Inclusion(all[at:end+1], []uint64{index})
			if err != nil {
				t.Fatal(err)
			}
			p := proven(index + 1)
			p.Index, p.Proof, p.Checkpoint = index, proofs[0], string(all[end].Signed)
			r := tlog.Receipt{Format: tlog.ReceiptFormat, Records: []tlog.Proven{p}}
			raw, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back tlog.Receipt
			if err := json.Unmarshal(raw, &back); err != nil {
				t.Fatal(err)
			}
			if c, err := back.Verify(trusted); err != nil || c[0].Size != all[end].End() {
				t.Fatalf("record %d: %+v, %v", index, c, err)
			}
			changed(t, trusted, back)
		}
	}
	if other := newKeys(t); other.Public() == k.Public() {
		t.Error("two keys are the same")
	}
}

// changed verifies receipts of which one thing is changed.
func changed(t *testing.T, keys *tlog.Keys, r tlog.Receipt) {
	t.Helper()
	for what, change := range map[string]func(*tlog.Proven){
		"data":       func(p *tlog.Proven) { p.Data += " " },
		"time":       func(p *tlog.Proven) { p.Stored = p.Stored.Add(1) },
		"sequence":   func(p *tlog.Proven) { p.Sequence++ },
		"subject":    func(p *tlog.Proven) { p.Subject += "0" },
		"header":     func(p *tlog.Proven) { p.Headers = map[string][]string{"Nats-Msg-Id": {"x"}} },
		"a header":   func(p *tlog.Proven) { p.Headers = map[string][]string{"X": {"x"}} },
		"index":      func(p *tlog.Proven) { p.Index++ },
		"proof":      func(p *tlog.Proven) { p.Proof = append(p.Proof, make([]byte, 32)) },
		"checkpoint": func(p *tlog.Proven) { p.Checkpoint = strings.Replace(p.Checkpoint, "number ", "number 1", 1) },
	} {
		p := r.Records[0]
		change(&p)
		if _, err := (tlog.Receipt{Format: r.Format, Records: []tlog.Proven{p}}).Verify(keys); err == nil {
			t.Errorf("a receipt with another %s verifies", what)
		}
	}
	if _, err := (tlog.Receipt{Format: r.Format}).Verify(keys); err == nil {
		t.Error("a receipt without records verifies")
	}
	if _, err := r.Verify(newKeys(t)); !errors.Is(err, tlog.ErrSignature) {
		t.Errorf("a receipt with another key: %v", err)
	}
}

func TestSegmentsAreReadAsTheyAreStored(t *testing.T) {
	k := newKeys(t)
	for _, s := range append(segments(t, k, 2000, 500), tlog.Segment{Left: [][]byte{}}) {
		raw, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := tlog.DecodeSegment(raw)
		if diff := cmp.Diff(string(s.Signed), string(got.Signed)); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		got.Signed = s.Signed
		if diff := cmp.Diff(s, got); diff != "" && len(s.Entries) > 0 {
			t.Error(diff)
		}
		for _, cut := range []int{0, 1, len(raw) / 2, len(raw) - 1} {
			if _, err := tlog.DecodeSegment(raw[:cut]); err == nil {
				t.Errorf("%d of %d bytes are a segment", cut, len(raw))
			}
		}
	}
}

func FuzzDecodeSegment(f *testing.F) {
	k := newKeys(f)
	for _, s := range segments(f, k, 20, 7) {
		raw, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _ = tlog.DecodeSegment(raw) })
}

func TestHashesAreThoseOfRFC6962(t *testing.T) {
	tree, err := tlog.NewTree(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := want.NewEmptyRange(0)
	for n := range uint64(21) {
		e := entry(n)
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(e.Leaf()), nil); err != nil {
			t.Fatal(err)
		}
		if err := tree.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := r.GetRootHash(nil)
	ours, ourErr := tree.Root()
	if err != nil || ourErr != nil || !bytes.Equal(theirs, ours) {
		t.Errorf("%x, %v, and by the library %x, %v", ours, ourErr, theirs, err)
	}
}

func TestCheckpointsAreReadAsTheyAreSigned(t *testing.T) {
	k := newKeys(t)
	want := tlog.Checkpoint{Origin: k.Origin(), Size: 7, Root: make([]byte, 32), Number: 3, Previous: strings.Repeat("a", 64),
		Time: time.Unix(1_700_000_000, 42).UTC(), First: 5, Last: 9}
	signed, err := k.Sign(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Open(signed)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := newKeys(t).Open(signed); !errors.Is(err, tlog.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
}

func TestKeysOfEarlierCheckpointsVerify(t *testing.T) {
	old, err := tlog.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	oldKeys, err := tlog.ParseKeys(old)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := oldKeys.Sign(tlog.Checkpoint{Root: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := tlog.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	both, err := tlog.ParseKeys(append(fresh, oldKeys.Public()...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Open(signed); err != nil || both.Public() == oldKeys.Public() {
		t.Error(both.Public(), err)
	}
	for _, bad := range []string{"", "# nothing", "x", "PRIVATE+KEY+x", "PRIVATE+KEY+a+12345678+AAAA", string(old) + string(fresh)} {
		if _, err := tlog.ParseKeys([]byte(bad)); err == nil {
			t.Errorf("%q holds keys", bad)
		}
	}
}
