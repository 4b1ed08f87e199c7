package ledger

import (
	"cmp"
	"slices"
	"strconv"
)

// numbered are the deliveries of a recipient by their numbers, and the reverse.
type numbered struct {
	keys    map[uint64]string
	numbers map[string]uint64
	without []string
}

// numbers checks the numbers that receivers were told and that are recorded: one event has one, and no two have the same. In a round
// without a fault that takes events or records away, they go from 1 on without a gap.
func (c *checker) numbers() {
	all, given := map[string]*numbered{}, false
	note := func(recipient, key, text string) {
		n, ok := all[recipient]
		if !ok {
			n = &numbered{keys: map[uint64]string{}, numbers: map[string]uint64{}}
			all[recipient] = n
		}
		number, _ := strconv.ParseUint(text, 10, 64)
		if number == 0 {
			n.without = append(n.without, key)
			return
		}
		given = true
		if other, taken := n.keys[number]; taken && other != key {
			c.find(Number, "", "%s has the number %d for %s and for %s", recipient, number, other, key)
		}
		if other, has := n.numbers[key]; has && other != number {
			c.find(Number, "", "%s has the numbers %d and %d for %s", recipient, other, number, key)
		}
		n.keys[number], n.numbers[key] = key, number
	}
	for _, g := range c.received {
		if g.Address == "" && !g.Gone {
			note(g.Recipient, g.Key, g.Number)
		}
	}
	for _, f := range c.finals {
		note(f.Recipient, f.Key, f.Number)
	}
	if !given || !c.ended || c.plan.has([]string{eventsFull, diskFull, damagedStore, earlierVersion}) {
		return // an earlier version does not number deliveries
	}
	for recipient, n := range all {
		c.complete(recipient, n)
	}
}

// complete checks that each delivery has a number and that there is no gap.
func (c *checker) complete(recipient string, n *numbered) {
	if len(n.without) > 0 {
		c.find(Number, "", "%s has %d requests and records without a number, e.g. of %s", recipient, len(n.without), n.without[0])
	}
	have := make([]uint64, 0, len(n.keys))
	for number := range n.keys {
		have = append(have, number)
	}
	slices.SortFunc(have, cmp.Compare[uint64])
	for i, number := range have {
		if number != uint64(i)+1 {
			c.find(Number, "", "%s has no number %d; the next is %d of %s", recipient, i+1, number, n.keys[number])
			return
		}
	}
}
