package ledger

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The journals of a round.
const (
	publishedFile = "published.jsonl"
	receivedFile  = "received.jsonl"
	mailedFile    = "mailed.jsonl"
	faultsFile    = "faults.jsonl"
	finalFile     = "final.jsonl"
	handedFile    = "handed.jsonl"
	planFile      = "plan.json"
)

// journal is a file of one line an entry. An entry has been handed to the operating system when add returns, so it outlives the process.
type journal struct {
	mu sync.Mutex
	f  *os.File
}

func openJournal(dir, name string) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a journal: %w", err)
	}
	return &journal{f: f}, nil
}

// add appends an entry.
func (j *journal) add(entry any) error {
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("encode an entry of %s: %w", j.f.Name(), err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("append to a journal: %w", err)
	}
	return nil
}

func (j *journal) close() { _ = j.f.Close() }

// readJournal reads all entries of a journal; one that does not exist has none.
func readJournal[E any](dir, name string) ([]E, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open a journal: %w", err)
	}
	defer func() { _ = f.Close() }()
	var out []E
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e E
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read line %d of %s: %w", len(out)+1, f.Name(), err)
		}
		out = append(out, e)
	}
	return out, lines.Err()
}

// The results of a publish.
const (
	resultTry      = "try"
	resultAccepted = "accepted"
	resultRefused  = "refused"
	resultUnknown  = "unknown"
)

// published is an entry of the publisher: one before the first try of an event, one with its result.
type published struct {
	Time   time.Time `json:"time"`
	Result string    `json:"result"`
	// Event is what recipients select by.
	Event event `json:"event"`
	// Tries is how often it was sent, Detail why it was refused.
	Tries  int    `json:"tries,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Duplicate is what the reply said.
	Duplicate bool `json:"duplicate,omitempty"`
}

// received is an entry of an HTTP receiver or the SMTP sink: one when the request is here, one after the answer if the client had gone.
type received struct {
	Time      time.Time `json:"time"`
	Recipient string    `json:"recipient"`
	// Address of a mail.
	Address string `json:"address,omitempty"`
	Key     string `json:"key"`
	Try     int    `json:"try"`
	// Number is the delivery's number, as the request says; empty: none.
	Number string `json:"number,omitempty"`
	// Body is a hash of the whole body, Content of what the publisher put into it.
	Body    string `json:"body"`
	Content string `json:"content"`
	// Answer is what the receiver is about to do; Success says that it accepts the event.
	Answer  string `json:"answer"`
	Success bool   `json:"success,omitempty"`
	// Gone marks a second entry: the client had left, or waited longer than its timeout, before the answer.
	Gone bool `json:"gone,omitempty"`
}

// struck is an entry of the faults: one when a step has ended.
type struck struct {
	Step     int           `json:"step"`
	Faults   []string      `json:"faults"`
	Detail   []string      `json:"detail"`
	Began    time.Time     `json:"began"`
	Mended   time.Time     `json:"mended"`
	Ended    time.Time     `json:"ended"`
	Recovery time.Duration `json:"recovery"`
	// StartedAgain is why processes had to be started more than once.
	StartedAgain []string `json:"startedAgain,omitempty"`
	// Discarded is how many records processes gave up as they ended, as they say themselves.
	Discarded int `json:"discarded,omitempty"`
	// Failed says what did not work, e.g. that no probe was delivered.
	Failed string `json:"failed,omitempty"`
}

// final is what Outbound says about a delivery.
type final struct {
	Recipient string `json:"recipient"`
	Key       string `json:"key"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
	Attempts  int    `json:"attempts"`
	// Number is the delivery's number, "0" or empty: none.
	Number string `json:"number,omitempty"`
	// Listed is how often it was listed.
	Listed int `json:"listed,omitempty"`
}

// handed is how often a stock broker handed out deliveries of a recipient.
type handed struct {
	Recipient string `json:"recipient"`
	Times     int    `json:"times"`
}
