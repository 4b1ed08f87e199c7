package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// event is what the ledger knows about an event.
type event struct {
	ID        string `json:"id"`
	Appliance string `json:"appliance"`
	Type      string `json:"type"`
	Even      bool   `json:"even,omitempty"`
	// Content is a hash of the variable note, which the publisher puts into the event.
	Content string `json:"content"`
	// Invalid says what is wrong with it; such an event must be refused.
	Invalid string `json:"invalid,omitempty"`
	// Odd says what is unusual about it although it is valid.
	Odd string `json:"odd,omitempty"`
	// Post says that it is posted over HTTP.
	Post bool `json:"post,omitempty"`
}

// Key is the event's key: the eventId of the API and the webhook-id on the wire.
func (e event) Key() string { return e.Appliance + "~" + e.ID }

// appliances is how many publish.
const appliances = 3

func applianceName(i int) string { return fmt.Sprint("ledger-", i+1) }

// hash is a short hash of a text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// made is an event and what is sent for it.
type made struct {
	event
	raw []byte
}

// makeEvent is the n-th event of a round: mostly plain ones, some odd, some invalid.
func makeEvent(seed uint64, n int) made {
	rnd := stream(seed, fmt.Sprint("event ", n))
	types := eventTypes()
	e := event{ID: fmt.Sprintf("e-%06d", n), Appliance: applianceName(n % appliances), Type: types[rnd.IntN(len(types))],
		Even: rnd.IntN(2) == 0, Post: rnd.IntN(3) == 0}
	note := fmt.Sprintf("%d %x", n, rnd.Uint64())
	switch p := rnd.Float64(); {
	case p < 0.03:
		return odd(rnd, e, note)
	case p < 0.05:
		return invalid(rnd, e, note)
	default:
		return encode(e, note, nil)
	}
}

// encode writes an event with its variables.
func encode(e event, note string, more harness.Object) made {
	e.Content = hash(note)
	parity := "odd"
	if e.Even {
		parity = "even"
	}
	data := harness.Object{"note": note, "parity": parity, "external_key": e.Content}
	for k, v := range more {
		data[k] = v
	}
	on := harness.NewEvent(e.Appliance, e.ID, e.Type, data)
	raw, _ := json.Marshal(on) // of texts and maps, which always can be encoded
	return made{e, raw}
}

// largest is the size limit of an event.
const largest = 256 << 10

// odd makes a valid event that is unusual.
func odd(rnd *rand.Rand, e event, note string) made {
	switch rnd.IntN(6) {
	case 0:
		e.Odd = "256 KiB"
		m := encode(e, note, harness.Object{"filler": ""})
		return encode(e, note, harness.Object{"filler": strings.Repeat("x", largest-len(m.raw))})
	case 1:
		e.Odd = "unicode"
		return encode(e, note+" äöü ß 漢字 🚀 \u202e\u0000\ufeff e\u0301 <&>\"'%41%NOTE% \r\n.\r\n", nil)
	case 2:
		e.Odd = "many variables"
		more := harness.Object{}
		for i := range 500 {
			more[fmt.Sprint("variable_", i)] = i
		}
		return encode(e, note, more)
	case 3:
		e.Odd = "deep"
		deep := any("end")
		for range 5 {
			deep = harness.Object{"in": deep, "and": 1.5}
		}
		return encode(e, note, harness.Object{"deep": deep, "list": []any{1, nil, true}})
	case 4:
		e.Odd = "numbers"
		return encode(e, note, harness.Object{"huge": json.Number("12345678901234567890123"), "small": json.Number("1.50"), "null": nil})
	default:
		e.Odd = "no time, extensions"
		m := encode(e, note, nil)
		o := harness.Object{}
		_ = json.Unmarshal(m.raw, &o)
		delete(o, "time")
		o["traceparent"], o["myextension"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a value"
		m.raw, _ = json.Marshal(o)
		return m
	}
}

// invalid makes an event that must be refused.
func invalid(rnd *rand.Rand, e event, note string) made {
	spoil := func(what string, change func(o harness.Object)) made {
		e.Invalid = what
		m := encode(e, note, nil)
		o := harness.Object{}
		_ = json.Unmarshal(m.raw, &o)
		change(o)
		m.raw, _ = json.Marshal(o)
		return m
	}
	switch rnd.IntN(8) {
	case 7:
		return spoil("nested too deep", func(o harness.Object) {
			deep := any("end")
			for range 20 {
				deep = harness.Object{"in": deep}
			}
			o["data"].(map[string]any)["deep"] = deep
		})
	case 0:
		return spoil("oversize", func(o harness.Object) { o["data"].(map[string]any)["filler"] = strings.Repeat("x", largest) })
	case 1:
		return spoil("no id", func(o harness.Object) { delete(o, "id") })
	case 2:
		return spoil("no URI reference", func(o harness.Object) { o["source"] = "some body else" })
	case 3:
		return spoil("unknown version", func(o harness.Object) { o["specversion"] = "9.9" })
	case 4:
		return spoil("far future", func(o harness.Object) { o["time"] = time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339) })
	case 5:
		return spoil("a capital in an attribute", func(o harness.Object) { o["myExtension"] = "x" })
	default:
		m := spoil("not JSON", func(harness.Object) {})
		m.raw = m.raw[:len(m.raw)/2]
		return m
	}
}
