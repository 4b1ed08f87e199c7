package render_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/render"
)

const withExtensions = `{"specversion":"1.0","id":"e-1","source":"appliance-1","type":"support_conference_end","time":"2026-11-21T10:00:00.5Z",
 "subject":"0a1b","datacontenttype":"application/json","dataschema":null,"comexamplename":"Euro € 😀 \"100%\"","comexampleflag":true,"comexamplecount":-7,
 "Not-A-Name":"left out","data":{"external_key":"INC-1", "custom_fields":{"region":"emea","salary":1},"big":12345678901234567890,"name":"Zoë"}}`

func decoded(t testing.TB, raw string) *event.Event {
	t.Helper()
	e, _ := event.Decode([]byte(raw))
	return e
}

func TestBinary(t *testing.T) {
	for name, c := range map[string]struct {
		raw    string
		custom []string
	}{
		"binary_extensions.txt": {withExtensions, []string{"region"}},
		"binary_no_custom.txt":  {withExtensions, nil},
		"binary_no_data.txt":    {`{"specversion":"1.0","id":"e-1","source":"a-1","type":"own","time":"2026-11-21T10:00:00Z"}`, nil},
		"binary_null_data.txt":  {`{"specversion":"1.0","id":"e-1","source":"a-1","type":"own","time":"2026-11-21T10:00:00Z","data":null}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			attributes, body, err := render.Binary(decoded(t, c.raw), c.custom)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			for _, a := range attributes {
				fmt.Fprintf(&b, "ce-%s: %s\n", a.Name, a.Value)
			}
			fmt.Fprintf(&b, "\n%s\n", body)
			golden.Check(t, name, b.Bytes())
		})
	}
}

// The official SDK reads what we write, and so does the reading of the binding's section 3.1.3.2.
func TestTheOfficialSDKReadsBinary(t *testing.T) {
	e := decoded(t, withExtensions)
	attributes, body, err := render.Binary(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", render.BinaryContentType)
	for _, a := range attributes {
		r.Header.Set("ce-"+a.Name, a.Value)
	}
	got, err := binding.ToEvent(context.Background(), cehttp.NewMessageFromHttpRequest(r))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if got.ID() != "e-1" || got.Source() != "appliance-1" || got.Type() != e.Type || got.Subject() != "0a1b" || !got.Time().Equal(e.Time) ||
		got.DataContentType() != "application/json" || got.Extensions()["comexampleflag"] != "true" ||
		got.Extensions()["comexamplecount"] != "-7" {
		t.Errorf("got %s", got)
	}
	name, _ := got.Extensions()["comexamplename"].(string)
	if name, err = url.PathUnescape(name); err != nil || name != `Euro € 😀 "100%"` {
		t.Errorf("got %q, %v", name, err)
	}
	if want := `{"external_key":"INC-1", "custom_fields":{},"big":12345678901234567890,"name":"Zoë"}`; string(got.Data()) != want {
		t.Errorf("got %s", got.Data())
	}
}
