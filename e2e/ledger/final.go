package ledger

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// drainPatience is how long the number of open deliveries may stay the same before they are given up. A delivery that a killed sender had
// comes back after the ack wait of 45 s.
const drainPatience = 2 * time.Minute

// drain waits until every delivery is final, and writes all states down.
func (w *world) drain() {
	began, since, least := time.Now(), time.Now(), -1
	for {
		open, err := w.open()
		switch {
		case err != nil:
			w.Logf("drain: %v", err)
		case open == 0:
			w.Logf("drained after %v", time.Since(began).Round(time.Second))
			w.finals()
			return
		case least < 0 || open < least:
			least, since = open, time.Now()
		}
		if time.Since(since) > drainPatience {
			w.Logf("%d deliveries stay open", least)
			w.finals()
			return
		}
		t := time.NewTimer(time.Second)
		<-t.C
	}
}

// open is how many deliveries are not final: those that wait in queues, and accepted ones without a record.
func (w *world) open() (int, error) {
	var status struct {
		Recipients []struct {
			RecipientID  string `json:"recipientId"`
			QueuedEvents string `json:"queuedEvents"`
		} `json:"recipients"`
	}
	if err := w.get("/v1/status", &status); err != nil {
		return 0, err
	}
	n := 0
	for _, r := range status.Recipients {
		var k int
		_, _ = fmt.Sscan(r.QueuedEvents, &k)
		n += k
	}
	return n, nil
}

// get reads from the API.
func (w *world) get(path string, into any) error {
	a, err := w.system.REST.Call(http.MethodGet, path, nil)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("get %s: %d %.200s", path, a.Status, a.Body)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("read what %s answers: %w", path, err)
	}
	return nil
}

// finals lists all deliveries of all recipients into a journal.
func (w *world) finals() {
	w.handedOut()
	j := w.journal(finalFile)
	for _, p := range profiles() {
		byKey, err := w.list(p.name)
		for tries := 0; err != nil && tries < listTries; tries++ {
			w.Logf("list the deliveries to %s: %v", p.name, err)
			t := time.NewTimer(time.Second)
			<-t.C
			byKey, err = w.list(p.name)
		}
		if err != nil {
			w.Fatalf("list the deliveries to %s: %v", p.name, err)
		}
		for _, f := range byKey {
			if err := j.add(f); err != nil {
				w.Fatalf("%v", err)
			}
		}
	}
}

// listTries is how often a list that fails is repeated.
const listTries = 60

// list is the state of each delivery of a recipient, over all pages.
func (w *world) list(recipient string) (map[string]*final, error) {
	out, token := map[string]*final{}, ""
	for {
		var page struct {
			Deliveries []struct {
				EventID  string `json:"eventId"`
				State    string `json:"state"`
				Reason   string `json:"reason"`
				Attempts int    `json:"attempts"`
				Sequence string `json:"sequence"`
			} `json:"deliveries"`
			NextPageToken string `json:"nextPageToken"`
		}
		q := url.Values{"recipient_id": {recipient}, "page_size": {"1000"}, "page_token": {token}}
		if err := w.get("/v1/deliveries?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		for _, d := range page.Deliveries {
			f, ok := out[d.EventID]
			if !ok {
				f = &final{Recipient: recipient, Key: strings.Clone(d.EventID), State: d.State, Reason: d.Reason, Attempts: d.Attempts,
					Number: d.Sequence}
				out[d.EventID] = f
			}
			f.Listed++
		}
		if token = page.NextPageToken; token == "" {
			return out, nil
		}
	}
}

// handedOut writes down how often each recipient's consumer handed out a message. The embedded broker does not tell.
func (w *world) handedOut() {
	j := w.journal(handedFile)
	most := map[string]int{}
	for _, b := range w.system.Brokers() {
		var state struct {
			Accounts []struct {
				Streams []struct {
					Name      string `json:"name"`
					Consumers []struct {
						Name      string `json:"name"`
						Delivered struct {
							Consumer int `json:"consumer_seq"`
						} `json:"delivered"`
					} `json:"consumer_detail"`
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if err := w.system.AskBroker(b, "/jsz?consumers=true", &state); err != nil {
			w.Logf("ask how often deliveries were handed out: %v", err)
			continue
		}
		for _, a := range state.Accounts {
			for _, s := range a.Streams {
				for _, c := range s.Consumers {
					channel, recipient, _ := strings.Cut(c.Name, "-")
					if s.Name != "EVENTS" || channel != "http" && channel != "email" {
						continue
					}
					most[recipient] = max(most[recipient], c.Delivered.Consumer)
				}
			}
		}
	}
	for recipient, n := range most {
		if err := j.add(handed{recipient, n}); err != nil {
			w.Fatalf("%v", err)
		}
	}
}
