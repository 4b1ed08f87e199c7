package configclient

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/pause"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// bookmarkless is how long a stream goes without a bookmark before the config service is taken for an older one, which sends none.
	bookmarkless = 10 * time.Second
	// firstAsk is the pause after a request for a bookmark. It grows up to lastAsk while none comes; after askFor nobody waits any more.
	firstAsk = 20 * time.Millisecond
	lastAsk  = time.Second
	askFor   = 10 * time.Second
)

// bookmark is how recent the recipients are that a client knows. The client's mu guards it.
type bookmark struct {
	through uint64
	// without is since when the stream goes without a bookmark, if the last one was there; zero: it has had one.
	without time.Time
	// wanted is the sequence that somebody waits for.
	wanted uint64
	// changed is closed and replaced when any of it is another.
	changed chan struct{}
}

// CompleteThrough is a sequence of EVENTS: the recipients that are known include each change that was answered before the event there
// was accepted. known is false if the config service does not tell that. changed is closed when the answer is another one.
func (c *Client) CompleteThrough() (sequence uint64, known bool, changed <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	b := &c.bookmark
	return b.through, c.o.Bookmarks && (b.without.IsZero() || time.Since(b.without) < bookmarkless), b.changed
}

// AskThrough has the config service say soon how recent the recipients are, if they are not known to be as recent as a sequence of
// EVENTS. It returns at once.
func (c *Client) AskThrough(sequence uint64) {
	c.mu.Lock()
	c.bookmark.wanted = max(c.bookmark.wanted, sequence)
	c.mu.Unlock()
	if !c.lacks() {
		return
	}
	select {
	case c.ask <- struct{}{}:
	default:
	}
}

// mark takes over what a stream says of itself: nil before it has sent a bookmark. The caller holds mu.
func (c *Client) mark(b *outboundv1.Bookmark) {
	switch {
	case b != nil:
		c.bookmark.through, c.bookmark.without = b.GetCompleteThrough(), time.Time{}
	case c.bookmark.without.IsZero():
		c.bookmark.through, c.bookmark.without = 0, time.Now()
	}
	close(c.bookmark.changed)
	c.bookmark.changed = make(chan struct{})
}

// askLoop asks for bookmarks when one is wanted, until ctx ends.
func (c *Client) askLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ask:
			c.askUntilAnswered(ctx)
		}
	}
}

// askUntilAnswered asks until nobody waits any more, in vain for a while at most. That an answer is an error does not matter: what is
// wanted comes over the stream or does not.
func (c *Client) askUntilAnswered(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	for again := firstAsk; c.lacks(); {
		if asking.Err() != nil {
			// The sequence may be of a stream that is no more.
			c.mu.Lock()
			c.bookmark.wanted = 0
			c.mu.Unlock()
			return
		}
		before, _, _ := c.CompleteThrough()
		_, _ = c.recipients.RequestBookmark(asking, &outboundv1.RequestBookmarkRequest{})
		pause.For(asking, again)
		if now, _, _ := c.CompleteThrough(); now != before {
			again = firstAsk
		} else {
			again = min(2*again, lastAsk)
		}
	}
}

func (c *Client) lacks() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.bookmark.wanted > c.bookmark.through
}
