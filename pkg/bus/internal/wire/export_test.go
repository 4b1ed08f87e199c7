package wire

import "time"

// Undecided is undecided, for tests.
func Undecided(lookup error) error { return undecided(lookup) }

// Temporary is temporary, for tests.
func Temporary(err error) bool { return temporary(err) }

// Stalled reports whether a committer counts as stalled whose messages have waited for so long, and which was last answered so long ago,
// if answers may take so long.
func Stalled(waits, answered, limit time.Duration) bool {
	c := newClock(nil)
	c.began = c.began.Add(-time.Hour)
	k := &Committer{conn: &Conn{clock: c}}
	k.pending.Store(1)
	k.busy.Store(int64(c.elapsed() - waits))
	k.heard.Store(int64(c.elapsed() - answered))
	return k.stalled(time.Now().Add(-limit))
}

// LastHeard is how long ago a committer was answered that was answered so long ago.
func LastHeard(answered time.Duration) time.Duration {
	e, c := newEnding(), newClock(nil)
	c.began = c.began.Add(-time.Hour)
	k := &Committer{conn: &Conn{clock: c}}
	k.heard.Store(int64(c.elapsed() - answered))
	e.add(k)
	last, _ := e.heard(time.Now())
	return time.Since(last)
}
