package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Receipt is one line of a ledger: one request that reached a receiver, written down before it was answered.
type Receipt struct {
	// Recipient by the path it was posted to.
	Recipient string
	// ID is the webhook-id.
	ID string
	// Try counts the requests of this recipient and id, from 1.
	Try int
	// Hash of the body.
	Hash string
	// Status that was answered.
	Status int
	Time   time.Time
	Header http.Header
	Body   []byte
}

// Ledger keeps receipts in the order of their arrival.
type Ledger struct {
	mu       sync.Mutex
	receipts []Receipt
	tries    map[[2]string]int
	ids      map[string]int
}

// NewLedger makes an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{tries: map[[2]string]int{}, ids: map[string]int{}}
}

// add writes a receipt down and returns which try it was.
func (l *Ledger) add(r Receipt, status func(try int) int) Receipt {
	sum := sha256.Sum256(r.Body)
	r.Hash = hex.EncodeToString(sum[:8])
	l.mu.Lock()
	defer l.mu.Unlock()
	k := [2]string{r.Recipient, r.ID}
	l.tries[k]++
	r.Try = l.tries[k]
	if r.Try == 1 {
		l.ids[r.Recipient]++
	}
	r.Status = status(r.Try)
	l.receipts = append(l.receipts, r)
	return r
}

// Of is the receipts of a recipient in order of arrival; of all recipients, if it is empty.
func (l *Ledger) Of(recipient string) []Receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Receipt
	for _, r := range l.receipts {
		if recipient == "" || r.Recipient == recipient {
			out = append(out, r)
		}
	}
	return out
}

// Distinct is how many different events a recipient has been sent.
func (l *Ledger) Distinct(recipient string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[recipient]
}

// Len is how many receipts there are.
func (l *Ledger) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.receipts)
}

// Account is what a ledger says about a set of events at a set of recipients.
type Account struct {
	// Owed is events times recipients; Arrived how many of these pairs were received and answered with success.
	Owed, Arrived int
	// Lost pairs never arrived, Phantom requests are of events nobody published, Changed ones had another body than before.
	Lost, Phantom, Changed []string
	// Duplicates are requests of a pair after one that was answered with success.
	Duplicates int
}

// String is the account in one line.
func (a Account) String() string {
	return fmt.Sprintf("owed %d, arrived %d, lost %d, phantom %d, changed %d, duplicates %d",
		a.Owed, a.Arrived, len(a.Lost), len(a.Phantom), len(a.Changed), a.Duplicates)
}

// Account joins the ledger with the keys of the published events, all of which each of the recipients wants.
func (l *Ledger) Account(keys, recipients []string) Account {
	known := make(map[string]bool, len(keys))
	for _, k := range keys {
		known[k] = true
	}
	a := Account{Owed: len(keys) * len(recipients)}
	for _, name := range recipients {
		hashes, done := map[string]string{}, map[string]bool{}
		for _, r := range l.Of(name) {
			a.enter(r, known, hashes, done)
		}
		for _, k := range keys {
			if !done[k] {
				a.Lost = append(a.Lost, name+"/"+k)
			}
		}
	}
	slices.Sort(a.Lost)
	return a
}

// enter takes one receipt of one recipient into the account.
func (a *Account) enter(r Receipt, known map[string]bool, hashes map[string]string, done map[string]bool) {
	if !known[r.ID] {
		a.Phantom = append(a.Phantom, r.Recipient+"/"+r.ID)
	}
	if h, seen := hashes[r.ID]; seen && h != r.Hash {
		a.Changed = append(a.Changed, r.Recipient+"/"+r.ID)
	}
	hashes[r.ID] = r.Hash
	if done[r.ID] {
		a.Duplicates++
		return
	}
	if r.Status == http.StatusOK && known[r.ID] {
		done[r.ID] = true
		a.Arrived++
	}
}
