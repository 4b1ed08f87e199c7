package allinone_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/tlog"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// verified is the end of a verification.
type verified struct {
	Result struct {
		Result struct {
			Faults          []any
			Records         string
			CoveredRecords  string
			HeadNumber, Key string
		}
	}
}

func verifyLog(t *testing.T, r *running) (v verified) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.as(r.token, http.MethodGet, "/v1/deliveries:verify", "")), "\n")
	return read[verified](t, lines[len(lines)-1])
}

func TestTheLogIsVerifiedAndADeliveryIsProven(t *testing.T) {
	url, got := receiver(t)
	o := options(t)
	r := start(t, o)
	a := r.appliance("a-1")
	id := r.recipient("Tickets", url, "")
	r.publish(a.Token, "e-1")
	waittest.Receive(t, "the event", got)
	waittest.Until(t, "its delivery to be recorded", func() bool {
		return strings.Contains(r.as(r.token, http.MethodGet, "/v1/deliveries?recipient_id="+id, ""), `"DELIVERED"`)
	})
	var first verified
	waittest.Until(t, "a checkpoint to cover both records", func() bool {
		first = verifyLog(t, r)
		return first.Result.Result.CoveredRecords == "2"
	})
	if x := first.Result.Result; len(x.Faults) > 0 || x.Records != "2" || x.HeadNumber == "0" {
		t.Errorf("%+v", first)
	}
	receipt := read[struct{ Receipt string }](t, r.as(r.token, http.MethodGet, "/v1/deliveries/"+id+"/a-1~e-1:prove", "")).Receipt
	key := read[struct{ Key string }](t, r.as(r.token, http.MethodGet, "/v1/deliveries:checkpointKey", "")).Key
	r.end()

	var proven tlog.Receipt
	if err := json.Unmarshal([]byte(receipt), &proven); err != nil {
		t.Fatal(err)
	}
	trusted, err := tlog.Trust(key)
	if err != nil {
		t.Fatal(err)
	}
	if signed, err := proven.Verify(trusted); err != nil || len(signed) != 2 {
		t.Errorf("%+v, %v", signed, err)
	}
	if info, err := os.Stat(filepath.Join(o.Data, "checkpoint.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	// The next process goes on with the same key.
	r = start(t, o)
	if x := verifyLog(t, r).Result.Result; len(x.Faults) > 0 || x.Records != "2" || x.Key != key {
		t.Errorf("after a restart: %+v", x)
	}
	r.end()
}
