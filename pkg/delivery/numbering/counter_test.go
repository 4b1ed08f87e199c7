package numbering_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery/numbering"
)

// message is one of a stream made up for a test.
type message struct {
	subject string
	change  *numbering.Change
	lost    bool
}

// stream is what EVENTS holds: message i stands at sequence i+1.
type stream []message

// model counts as the documentation says, from the first message on.
func (s stream) model(recipient string) (numbers []uint64) {
	var on bool
	var start, n uint64
	var sel numbering.Selection
	for _, m := range s {
		at := uint64(0)
		switch {
		case m.lost && on:
			n++
		case m.change != nil && m.change.Recipient == recipient && m.change.Channel == "http":
			if m.change.Ended {
				on = false
				break
			}
			if !on || start != m.change.Start {
				n = 0
			}
			on, start, sel = true, m.change.Start, m.change.Selection
		case m.subject != "" && on:
			appliance, eventType, _ := strings.Cut(m.subject, ".")
			if sel.Has(appliance, eventType) {
				n++
				at = n
			}
		}
		numbers = append(numbers, at)
	}
	return numbers
}

func (s stream) feed(c interface {
	Add(sequence uint64, appliance, eventType string, change *numbering.Change)
}, first, last uint64) {
	for q := first; q <= last; q++ {
		if m := s[q-1]; !m.lost {
			appliance, eventType, _ := strings.Cut(m.subject, ".")
			c.Add(q, appliance, eventType, m.change)
		}
	}
}

// random makes a stream of events of a few subjects, changes of recipients, and other messages.
func random(r *rand.Rand, n int) stream {
	var out stream
	marked := map[string]*numbering.Change{}
	for len(out) < n {
		switch x := r.IntN(100); {
		case x < 4 || len(out) < 3:
			id := fmt.Sprint("r", r.IntN(4))
			c := numbering.Change{Channel: "http", Recipient: id, Start: 1, Selection: numbering.NewSelection(some(r, "t"), some(r, "a"))}
			if was := marked[id]; was != nil {
				before := was.Selection
				c.Before, c.Start = &before, was.Start
			}
			if was := marked[id]; was != nil && r.IntN(8) == 0 {
				c.Start, c.Before = was.Start+1, nil
			}
			marked[id] = &c
			out = append(out, message{change: &c})
		case x < 8:
			out = append(out, message{})
		case x < 10:
			sel := numbering.NewSelection([]string{"t0"}, nil)
			out = append(out, message{change: &numbering.Change{Channel: "email", Recipient: "r0", Selection: sel}})
		default:
			out = append(out, message{subject: fmt.Sprintf("a%d.t%d", r.IntN(3), r.IntN(5))})
		}
	}
	return out
}

func some(r *rand.Rand, prefix string) (out []string) {
	for i := range 5 {
		if r.IntN(2) == 0 {
			out = append(out, fmt.Sprint(prefix, i))
		}
	}
	return out
}

// number asks a counter as a sender does: what stands in front of what is remembered is read, from a sequence that EVENTS begins with.
func number(t *testing.T, c *numbering.Counter, s stream, id string, sequence, begins uint64) uint64 {
	t.Helper()
	n, answer := c.Number(id, sequence)
	if answer == numbering.Below {
		l := c.Lower(max(begins, sequence))
		if l == nil {
			t.Fatalf("nothing to read below %d", sequence)
		}
		s.feed(l, max(begins, sequence), l.End()-1)
		l.Close(true)
		n, answer = c.Number(id, sequence)
	}
	if answer != numbering.Known {
		t.Fatalf("answer %d for %s at %d", answer, id, sequence)
	}
	return n
}

func TestEveryCounterGivesTheNumbersOfTheStream(t *testing.T) {
	t.Parallel()
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := random(r, 40+r.IntN(1500))
		begin := r.IntN(len(s)) + 1 // where the second counter goes on
		first := numbering.NewCounter("http", numbering.Checkpoint{})
		s.feed(first, 1, uint64(begin))
		from := roundTrip(t, first.Checkpoint())
		second := numbering.NewCounter("http", from)
		s.feed(second, from.Through+1, uint64(len(s)))
		s.feed(first, uint64(begin)+1, uint64(len(s)))
		ids := []string{"r0", "r1", "r2", "r3"}
		models := map[string][]uint64{}
		for _, id := range ids {
			models[id] = s.model(id)
		}
		for range 400 {
			id, q := ids[r.IntN(len(ids))], uint64(r.IntN(len(s))+1)
			want := models[id][q-1]
			if got := number(t, first, s, id, q, 1); got != want && alive(s, id, q) {
				t.Fatalf("seed %d: the first counter has %d for %s at %d, want %d", seed, got, id, q, want)
			}
			if got := number(t, second, s, id, q, 1); got != want && alive(s, id, q) {
				t.Fatalf("seed %d: the counter from %d has %d for %s at %d, want %d", seed, begin, got, id, q, want)
			}
			if r.IntN(40) == 0 {
				second.Trim()
			}
		}
	}
}

// alive reports whether a recipient is at the end of a stream the one that it was at a sequence: a queue ends with its recipient.
func alive(s stream, id string, sequence uint64) bool {
	for _, m := range s[sequence:] {
		if m.change != nil && m.change.Channel == "http" && m.change.Recipient == id && m.change.Before == nil {
			return false
		}
	}
	return true
}

func roundTrip(t *testing.T, c numbering.Checkpoint) numbering.Checkpoint {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := numbering.DecodeCheckpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOfferedEventsNeedNotBeRead(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 11))
		s := random(r, 300)
		c := numbering.NewCounter("http", numbering.Checkpoint{})
		// Some events are offered, out of order, and what is missing then is read.
		for at := 0; at < len(s); {
			n := min(1+r.IntN(20), len(s)-at)
			for _, i := range r.Perm(n) {
				if m := s[at+i]; m.subject != "" && r.IntN(5) > 0 {
					appliance, eventType, _ := strings.Cut(m.subject, ".")
					c.Offer(uint64(at+i+1), appliance, eventType)
				}
			}
			if at += n; r.IntN(3) == 0 {
				s.feed(c, c.Through()+1, uint64(at))
			}
		}
		s.feed(c, c.Through()+1, uint64(len(s)))
		if c.Through() != uint64(len(s)) {
			t.Fatalf("counted up to %d of %d", c.Through(), len(s))
		}
		for _, id := range []string{"r0", "r1"} {
			for q, want := range s.model(id) {
				if got := number(t, c, s, id, uint64(q+1), 1); got != want && alive(s, id, uint64(q+1)) {
					t.Fatalf("seed %d: number %d for %s at %d, want %d", seed, got, id, q+1, want)
				}
			}
		}
	}
}

func TestLongBacklogIsNumberedFromTheCheckpointDown(t *testing.T) {
	t.Parallel()
	const n = 400_000
	sel := numbering.NewSelection([]string{"t0"}, nil)
	change := numbering.Change{Channel: "http", Recipient: "r", Start: 1, Selection: sel}
	s := stream{{change: &change}}
	for len(s) < n {
		s = append(s, message{subject: fmt.Sprint("a0.t", len(s)%2)})
	}
	whole := numbering.NewCounter("http", numbering.Checkpoint{})
	s.feed(whole, 1, n)
	c := numbering.NewCounter("http", whole.Checkpoint())
	for q := uint64(2); q <= n; q += 997 {
		want := uint64(0)
		if q%2 == 1 {
			want = (q - 1) / 2
		}
		if got := number(t, c, s, "r", q, 1); got != want {
			t.Fatalf("number %d at %d, want %d", got, q, want)
		}
	}
	for range 3 {
		c.Trim() // what is not asked for is forgotten, and read again
	}
	if _, answer := c.Number("r", 3); answer != numbering.Below {
		t.Fatalf("answer %d after it was forgotten", answer)
	}
	if got := number(t, c, s, "r", 3, 1); got != 1 {
		t.Fatalf("number %d at 3", got)
	}
}

func TestLostEventsAreCountedSoThatNoNumberIsGivenTwice(t *testing.T) {
	t.Parallel()
	sel := numbering.NewSelection([]string{"t0"}, nil)
	change := numbering.Change{Channel: "http", Recipient: "r", Start: 1, Selection: sel}
	s := stream{{change: &change}, {subject: "a0.t0"}, {lost: true}, {lost: true}, {subject: "a0.t0"}}
	c := numbering.NewCounter("http", numbering.Checkpoint{})
	s.feed(c, 1, 5)
	for q, want := range map[uint64]uint64{2: 1, 5: 4} {
		if got, _ := c.Number("r", q); got != want {
			t.Errorf("number %d at %d, want %d", got, q, want)
		}
	}
	// From a checkpoint behind the hole it can't be told what was counted there: nothing in front of it is numbered.
	late := numbering.NewCounter("http", c.Checkpoint())
	if got := number(t, late, s, "r", 5, 1); got != 4 {
		t.Errorf("number %d behind the hole, want 4", got)
	}
	if got := number(t, late, s, "r", 2, 1); got != 0 {
		t.Errorf("number %d in front of the hole, want none", got)
	}
	if got := c.Checkpoint().Skip(15).Recipients[0].Number; got != 14 {
		t.Errorf("number %d after 10 that are gone, want 14", got)
	}
	cut := numbering.NewCounter("http", c.Checkpoint().Cut(3))
	cut.Add(4, "a0", "t0", nil)
	for q, want := range map[uint64]uint64{2: 0, 4: 5} {
		if got := number(t, cut, s, "r", q, 1); got != want {
			t.Errorf("number %d at %d after the end was lost, want %d", got, q, want)
		}
	}
	// A long gap, as after a restore.
	c.Add(20_005, "a0", "t0", nil)
	if got, _ := c.Number("r", 20_005); got != 20_004 {
		t.Errorf("number %d behind the long gap, want 20004", got)
	}
	if got, answer := c.Number("r", 5); got != 0 || answer != numbering.Known {
		t.Errorf("number %d, answer %d in front of the long gap", got, answer)
	}
}

func TestWaitForAMessage(t *testing.T) {
	t.Parallel()
	c := numbering.NewCounter("http", numbering.Checkpoint{})
	if _, answer := c.Number("r", 3); answer != numbering.Behind {
		t.Fatalf("answer %d", answer)
	}
	third, second := c.Counted(3), c.Counted(2)
	c.Add(1, "a0", "t0", nil)
	select {
	case <-second:
		t.Fatal("told too early")
	default:
	}
	c.Add(3, "a0", "t0", nil)
	<-third
	<-second
	<-c.Counted(1)
	one, other := c.Counted(9), c.Counted(9)
	for _, w := range []<-chan struct{}{one, other} {
		if !c.Awaited() {
			t.Error("nobody waits")
		}
		c.Forget(9, w)
	}
	if c.Awaited() {
		t.Error("somebody waits who has been forgotten")
	}
}

func TestSelectionsInCommon(t *testing.T) {
	t.Parallel()
	of := numbering.NewSelection
	for _, x := range []struct{ a, b, want numbering.Selection }{
		{of([]string{"t1", "t0"}, nil), of([]string{"t1", "t2"}, nil), of([]string{"t1"}, nil)},
		{of([]string{"t1"}, []string{"a"}), of([]string{"t1"}, nil), of([]string{"t1"}, []string{"a"})},
		{of([]string{"t1"}, []string{"a", "b"}), of([]string{"t1"}, []string{"c", "b"}), of([]string{"t1"}, []string{"b"})},
		{of([]string{"t1"}, []string{"a"}), of([]string{"t1"}, []string{"b"}), numbering.Selection{}},
		{of([]string{"t1"}, nil), of([]string{"t2"}, nil), numbering.Selection{}},
	} {
		if got := x.a.Both(x.b); !got.Equal(x.want) {
			t.Errorf("%v and %v have %v in common, want %v", x.a, x.b, got, x.want)
		}
		if got := x.b.Both(x.a); !got.Equal(x.want) {
			t.Errorf("%v and %v have %v in common, want %v", x.b, x.a, got, x.want)
		}
	}
	none := numbering.Selection{}
	if none.Has("a", "t1") || !of([]string{"t1"}, nil).Has("a", "t1") || of([]string{"t1"}, []string{"b"}).Has("a", "t1") {
		t.Error("selections have what they should not, or the reverse")
	}
}

func TestSelectionsFollowCheckpointAndChanges(t *testing.T) {
	t.Parallel()
	sel := numbering.NewSelection([]string{"t0"}, nil)
	s := numbering.Selections{}
	s.Take("http", numbering.Checkpoint{Recipients: []numbering.Counted{
		{ID: "r", Start: 3, Selection: sel}, {ID: "q", Start: 4, Selection: sel},
	}})
	change := numbering.Change{Channel: "http", Recipient: "r", Start: 5, Selection: numbering.NewSelection([]string{"t1"}, nil)}
	text, err := change.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := numbering.DecodeChange(text)
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(decoded)
	s.Apply(numbering.Change{Channel: "http", Recipient: "q", Ended: true})
	if got := s[numbering.Of("http", "r")]; got.Start != 5 || !got.Has("a", "t1") || len(s) != 1 {
		t.Errorf("the selections are %v", s)
	}
	if _, err := numbering.DecodeChange("{"); err == nil {
		t.Error("a change that can't be read is taken")
	}
	if _, err := numbering.DecodeCheckpoint([]byte("{}")); err == nil {
		t.Error("a checkpoint that can't be read is taken")
	}
}

func BenchmarkCount(b *testing.B) {
	for _, recipients := range []int{1, 1000} {
		b.Run(fmt.Sprint(recipients), func(b *testing.B) {
			c := numbering.NewCounter("http", numbering.Checkpoint{})
			for i := range recipients {
				t := "t0"
				if i > 0 {
					t = fmt.Sprint("t", 1+i%50)
				}
				sel := numbering.NewSelection([]string{t}, nil)
				c.Add(uint64(i)+1, "", "", &numbering.Change{Channel: "http", Recipient: fmt.Sprint("r", i), Selection: sel})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				q := uint64(recipients + i + 1)
				c.Offer(q, "appliance-1", "t0")
				if n, _ := c.Number("r0", q); n != uint64(i)+1 {
					b.Fatalf("number %d", n)
				}
			}
		})
	}
}
