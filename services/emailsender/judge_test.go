package emailsender_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/services/emailsender"
)

// progressOf is what stands in a record when these addresses are done, or refused with a code.
func progressOf(t *testing.T, done []string, refused map[string]int) json.RawMessage {
	t.Helper()
	hash := func(address string) string {
		h := sha256.Sum256([]byte("ops/" + strings.ToLower(address)))
		return hex.EncodeToString(h[:8])
	}
	p := struct {
		Done    []string       `json:"done,omitempty"`
		Refused map[string]int `json:"refused,omitempty"`
	}{Refused: map[string]int{}}
	for _, a := range done {
		p.Done = append(p.Done, hash(a))
	}
	for a, code := range refused {
		p.Refused[hash(a)] = code
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestJudge(t *testing.T) {
	s := emailsender.NewSender(t, options(), settingsFor("", 0))
	bobGone := map[string]int{bob: 550}
	for name, c := range map[string]struct {
		addresses []string
		done      []string
		refused   map[string]int
		fault     delivery.Fault
		status    int
		kind      delivery.VerdictKind
		reason    reasons.Reason
	}{
		"all accepted": {[]string{alice, bob}, []string{alice, bob}, nil, delivery.FaultNone, 250, delivery.Delivered, reasons.OK},
		"one of two refused": {[]string{alice, bob}, []string{alice}, bobGone, delivery.FaultNone, 550, delivery.Delivered,
			reasons.PartlyDelivered},
		"the only one refused": {[]string{bob}, nil, bobGone, delivery.FaultNone, 550, delivery.Drop, reasons.SMTPRefused},
		"one deferred":         {[]string{alice}, nil, nil, delivery.FaultNone, 451, delivery.Retry, reasons.SMTPDeferred},
		"one done, one deferred": {[]string{alice, bob}, []string{alice}, nil, delivery.FaultNone, 451, delivery.Retry,
			reasons.PartlyDelivered},
		"one refused, one deferred": {[]string{alice, bob}, nil, bobGone, delivery.FaultNone, 451, delivery.Retry, reasons.SMTPDeferred},
		"the sender refused":        {[]string{alice}, nil, nil, delivery.FaultNone, 550, delivery.Retry, reasons.SMTPRefused},
		"done before, then a fault": {[]string{alice, bob}, []string{alice}, nil, delivery.FaultConnect, 0, delivery.Retry, reasons.Connect},
		"done address taken out":    {[]string{bob}, []string{alice}, bobGone, delivery.FaultNone, 550, delivery.Drop, reasons.SMTPRefused},
		"done in other case": {[]string{"ALICE@example.org"}, []string{alice}, nil, delivery.FaultNone, 250, delivery.Delivered,
			reasons.OK},
		"no address":                  {nil, nil, nil, delivery.FaultNone, 0, delivery.Drop, reasons.SMTPRefused},
		"relay unset":                 {[]string{alice}, nil, nil, delivery.FaultRelayUnset, 0, delivery.Retry, reasons.RelayUnset},
		"name unknown":                {[]string{alice}, nil, nil, delivery.FaultDNS, 0, delivery.Retry, reasons.DNS},
		"TLS":                         {[]string{alice}, nil, nil, delivery.FaultTLS, 0, delivery.Retry, reasons.TLS},
		"timeout":                     {[]string{alice}, nil, nil, delivery.FaultTimeout, 0, delivery.Retry, reasons.Timeout},
		"cut":                         {[]string{alice}, nil, nil, delivery.FaultCut, 0, delivery.Retry, reasons.ConnectionCut},
		"protocol":                    {[]string{alice}, nil, nil, delivery.FaultProtocol, 0, delivery.Retry, reasons.Protocol},
		"sign-in":                     {[]string{alice}, nil, nil, delivery.FaultAuth, 535, delivery.Retry, reasons.Auth},
		"sender is no address":        {[]string{alice}, nil, nil, delivery.FaultRender, 0, delivery.Retry, reasons.Render},
		"shutdown":                    {[]string{alice}, nil, nil, delivery.FaultShutdown, 0, delivery.Postpone, reasons.Shutdown},
		"shutdown after the last one": {[]string{alice}, []string{alice}, nil, delivery.FaultShutdown, 0, delivery.Delivered, reasons.OK},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.Judge(deliveryTo(c.addresses...), delivery.Outcome{Fault: c.fault, Status: c.status, Progress: progressOf(t, c.done, c.refused)})
			want(t, v, c.kind, c.reason)
			if v.Detail == "" {
				t.Error("the verdict has no detail")
			}
		})
	}
}

func TestProgressThatCanNotBeReadCountsAsNone(t *testing.T) {
	s := emailsender.NewSender(t, options(), settingsFor("", 0))
	v := s.Judge(deliveryTo(alice), delivery.Outcome{Fault: delivery.FaultNone, Status: 451, Progress: json.RawMessage(`{"done":7}`)})
	want(t, v, delivery.Retry, reasons.SMTPDeferred)
}
