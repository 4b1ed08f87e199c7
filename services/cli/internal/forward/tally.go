package forward

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/site"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// sayEvery is how often the same trouble is said, and how it goes.
const sayEvery = 10 * time.Second

// tally counts what was forwarded, and says how it goes.
type tally struct {
	env *command.Env

	mu                              sync.Mutex
	forwarded, duplicates, rejected int
	// said is when it was last said how it goes, problem which trouble was said last, and since when.
	said    time.Time
	problem string
	since   time.Time
}

// show prints what was forwarded.
func (t *tally) show() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.env.Structured() {
		raw, err := json.Marshal(map[string]int{"forwarded": t.forwarded, "duplicates": t.duplicates, "rejected": t.rejected})
		if err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return t.env.ShowJSON(raw)
	}
	return t.env.Print(&output.Table{Head: []string{"FORWARDED", "DUPLICATES", "REJECTED"},
		Rows: [][]string{{strconv.Itoa(t.forwarded), strconv.Itoa(t.duplicates), strconv.Itoa(t.rejected)}}})
}

func (t *tally) accepted(duplicate bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forwarded++
	if duplicate {
		t.duplicates++
	}
	if t.problem != "" {
		t.problem = ""
		t.say("events are accepted again")
	}
	if now := time.Now(); now.Sub(t.said) >= sayEvery {
		t.said = now
		t.say(fmt.Sprintf("%d events forwarded, %d of them duplicates, %d rejected", t.forwarded, t.duplicates, t.rejected))
	}
}

// refused says which event was rejected, and why.
func (t *tally) refused(e site.Event, err *client.APIError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rejected++
	why := strings.Join(append([]string{err.Error()}, err.Lines()...), " ")
	t.say(fmt.Sprintf("event %d of the stream was rejected and is not sent again: %s", e.Sequence, why))
}

// trouble says why events wait, once in a while.
func (t *tally) trouble(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); err.Error() != t.problem || now.Sub(t.since) >= sayEvery {
		t.problem, t.since = err.Error(), now
		t.say("events wait: " + err.Error())
	}
}

// say writes a line. The caller holds mu.
func (t *tally) say(line string) { _, _ = fmt.Fprintln(t.env.Err, output.Clean(line)) }
