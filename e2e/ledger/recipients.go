package ledger

import (
	"slices"
	"strconv"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// The states that a delivery may come to.
const (
	delivered = "DELIVERED"
	expired   = "EXPIRED"
	skipped   = "SKIPPED"
	cancelled = "CANCELLED"
)

// The event types of the run.
const (
	begins = "support_conference_begin"
	ends   = "support_conference_end"
	joins  = "support_conference_member_added"
)

func eventTypes() []string { return []string{begins, ends, joins} }

// profile is a recipient: what it selects, and how its receiver behaves.
type profile struct {
	name       string
	types      []string
	appliances []string
	filter     string
	// target is merged into the HTTP target; mail makes it an email recipient with these addresses.
	target harness.Object
	mail   []string
	// answer is how a try of an event is answered.
	answer func(seed uint64, recipient, key string, try int) answer
	// doomed says which events never succeed: they expire.
	doomed func(seed uint64, recipient, key string) bool
	// expires says that the retry duration is so short that any event may expire in a fault.
	expires bool
	// even says that the filter takes events with an even number only.
	even bool
}

// The kinds of answers.
const (
	answerOK    = "200"
	answerError = "500"
	answerReset = "reset"
	answerHang  = "hang"
	// answerCut is the SMTP sink's: the connection ends behind the data.
	answerCut   = "cut"
	answerDefer = "451"
)

// answer is how a receiver answers one request.
type answer struct {
	kind  string
	delay time.Duration
}

// receiverTimeout is the timeout of all HTTP recipients: long enough for a busy machine, short enough that a receiver that hangs is
// left soon.
const receiverTimeout = 5 * time.Second

// Names of the recipients that probes wait for.
const (
	steady = "steady"
	mails  = "mails"
)

// profiles are the recipients of a round.
func profiles() []profile {
	retrying := func(o harness.Object) harness.Object {
		out := harness.Object{"retryInterval": "1s", "timeout": "5s"}
		for k, v := range o {
			out[k] = v
		}
		return out
	}
	return []profile{
		{name: steady, types: eventTypes(), target: retrying(harness.Object{"format": "JSON"}), answer: always},
		{name: "slow", types: eventTypes(), target: retrying(nil), answer: slowly},
		{name: "flaky", types: eventTypes(), target: retrying(harness.Object{"format": "JSON"}), answer: flaky},
		{name: "dooms", types: []string{ends}, target: retrying(harness.Object{"retryDuration": "8s"}), answer: dooming, doomed: doomed,
			expires: true},
		{name: "selects", types: []string{begins, joins}, appliances: []string{applianceName(0)}, target: retrying(nil), answer: always},
		{name: "filters", types: []string{ends}, filter: `vars.parity == "even"`, even: true,
			target: retrying(harness.Object{"format": "JSON_BINARY"}), answer: always},
		{name: "strict", types: []string{joins}, appliances: []string{applianceName(1)}, target: retrying(harness.Object{"order": "STRICT"}),
			answer: always},
		{name: "limited", types: []string{joins}, answer: always,
			target: retrying(harness.Object{"rateLimit": harness.Object{"limit": 200, "period": "1s"}})},
		{name: mails, types: []string{ends}, mail: []string{"one@example.com"}, answer: mailing},
		{name: "mails-two", types: []string{ends}, appliances: []string{applianceName(1)},
			mail: []string{"two@example.com", "three@example.com"}, answer: mailing},
	}
}

func always(uint64, string, string, int) answer { return answer{kind: answerOK} }

func slowly(seed uint64, recipient, key string, _ int) answer {
	return answer{kind: answerOK, delay: time.Duration(chance(seed, recipient, key, "delay") * float64(200*time.Millisecond))}
}

// flaky fails up to three tries of an event in all ways.
func flaky(seed uint64, recipient, key string, try int) answer {
	p := chance(seed, recipient, key, strconv.Itoa(try))
	switch {
	case try > 3 || p > 0.30:
		return answer{kind: answerOK}
	case p < 0.15:
		return answer{kind: answerError}
	case p < 0.22:
		return answer{kind: answerReset}
	case p < 0.23:
		return answer{kind: answerHang}
	default:
		return answer{kind: answerOK, delay: time.Second}
	}
}

func doomed(seed uint64, recipient, key string) bool {
	return chance(seed, recipient, key, "doom") < 0.1
}

func dooming(seed uint64, recipient, key string, _ int) answer {
	if doomed(seed, recipient, key) {
		return answer{kind: answerError}
	}
	return answer{kind: answerOK}
}

// mailing defers some mails, and leaves some without an answer.
func mailing(seed uint64, recipient, key string, try int) answer {
	p := chance(seed, recipient, key, strconv.Itoa(try))
	switch {
	case try > 2 || p > 0.08:
		return answer{kind: answerOK}
	case p < 0.05:
		return answer{kind: answerDefer}
	default:
		return answer{kind: answerCut}
	}
}

// want is the states that an event may come to at a recipient; none: the recipient must never hear of it.
func (p profile) want(seed uint64, e event) []string {
	switch {
	case !slices.Contains(p.types, e.Type), len(p.appliances) > 0 && !slices.Contains(p.appliances, e.Appliance):
		return nil
	case p.even && !e.Even:
		return []string{skipped}
	case p.doomed != nil && p.doomed(seed, p.name, e.Key()):
		return []string{expired}
	case p.expires:
		return []string{delivered, expired}
	default:
		return []string{delivered}
	}
}

// object is the recipient as it is made over REST.
func (p profile) object(url string) harness.Object {
	o := harness.Object{"id": p.name, "displayName": "Ledger " + p.name, "eventTypes": p.types}
	if len(p.appliances) > 0 {
		o["appliances"] = p.appliances
	}
	if p.filter != "" {
		o["filter"] = p.filter
	}
	if p.mail != nil {
		o["email"] = harness.Object{"addresses": p.mail, "subject": "%EVENT_ID%", "body": "key=%EVENT_ID%\ncontent=%EXTERNAL_KEY%\n"}
		return o
	}
	target := harness.Object{"url": url}
	for k, v := range p.target {
		target[k] = v
	}
	o["http"] = target
	return o
}
