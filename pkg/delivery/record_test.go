package delivery_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

func TestARecordIsStoredAsEncodingJSONWritesIt(t *testing.T) {
	for _, text := range []string{"", "plain", `"quoted\ <b>&`, "ünïcode\u2028", "bad \xff"} {
		var r delivery.Record
		same(t, r)
		fields := reflect.ValueOf(&r).Elem()
		// One more field at a time, so that each is held against its tag alone and beside all others.
		for i := range fields.NumField() {
			fill(t, fields.Field(i), text)
			same(t, r)
			var alone delivery.Record
			fill(t, reflect.ValueOf(&alone).Elem().Field(i), text)
			same(t, alone)
		}
	}
}

// fill gives a field a value, whatever its type.
func fill(t *testing.T, f reflect.Value, text string) {
	t.Helper()
	at := time.Date(2026, 11, 21, 10, 0, 0, 123_456_789, time.FixedZone("", 3600))
	switch v := f.Addr().Interface().(type) {
	case *string:
		*v = text
	case *delivery.State:
		*v = delivery.StateDelivered
	case *reasons.Reason:
		*v = reasons.OK
	case *bool:
		*v = true
	case *int:
		*v = -7
	case *int64:
		*v = 1 << 62
	case *uint64:
		*v = 1<<64 - 1
	case *[]byte:
		*v = []byte("<html>" + text)
	case *json.RawMessage:
		*v = json.RawMessage(` { "a" : "<b>" } `)
	case *time.Time:
		*v = at
	case **time.Time:
		*v = &at
	default:
		t.Fatalf("this test knows no value for a %T", v)
	}
}

func same(t *testing.T, r delivery.Record) {
	t.Helper()
	want, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.JSON()
	if err != nil || string(got) != string(want) {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
