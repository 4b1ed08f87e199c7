package browser_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// hostile is what events and receivers may say: it sets a flag if any of it is executed, and says who it was.
func hostile(who string) string {
	set := "executed='" + who + "'"
	return who + `-begins"><script>` + set + `</script><img src=x onerror="` + set + `"><svg onload=` + set + `><a href="javascript:` +
		set + `">go</a>` +
		`' onmouseover='` + set + `' x='</textarea></pre></title><script>` + set + `</script>{{` + set + `}}${` + set + `}` +
		"\u202egnp.exe\u2066 \x1b[31mred\x1b[0m \u0007" + strings.Repeat("wide", 300) + who + "-ends"
}

// clean takes away what intake refuses in a custom field.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
}

// The recipients that get hostile texts.
const (
	hostileHTTP = "hostile"
	hostileMail = "hostile-mail"
)

// hostileSystem has people and a receiver say hostile things, and makes an event that does so in every field that takes them.
func (p *place) hostileSystem(t *testing.T) harness.Event {
	t.Helper()
	p.receiver.Answer("hostile", http.StatusInternalServerError)
	p.receiver.Say("hostile", hostile("answer")+strings.Repeat("x", 20<<10))
	p.system.REST.Do(t, http.MethodPost, "/v1/custom-fields",
		harness.Object{"codeName": "hostile", "displayName": "<script>executed='field'</script>"})
	p.system.AddRecipient(t, harness.Object{
		"id": hostileHTTP, "displayName": `<b onclick="executed='name'">Hostile</b> & "co"`, "eventTypes": []string{survey},
		"http": harness.Object{"url": p.receiver.URL("hostile"), "sendCustomFields": true, "retryInterval": "3600s"},
	})
	p.system.AddRecipient(t, harness.Object{
		"id": hostileMail, "displayName": "Hostile mail", "eventTypes": []string{survey},
		"email": harness.Object{"addresses": []string{"hostile@example.com"}, "subject": "%EXTERNAL_KEY%",
			"body": "%COMMENT% %CUSTOMER_NAME%", "htmlBody": "<p>%COMMENT%</p>"},
	})
	e := harness.NewEvent("hostile-1", "hostile-1", survey, harness.Object{
		"external_key": hostile("key")[:200], "rating": hostile("rating"), "comment": hostile("comment"),
		"conference_name": hostile("conference"),
		"customer":        harness.Object{"name": hostile("customer"), "company": hostile("company"), "details": hostile("details")},
		"answers":         []harness.Object{{"question": hostile("question"), "answer": hostile("reply")}},
		"custom_fields":   harness.Object{"hostile": clean(hostile("custom"))[:1000]}, `<script>executed="key"</script>`: hostile("unknown"),
	})
	return e
}

// hostileTexts has every field of an event, what a receiver answers, and what people may name things, say hostile things.
// Each page that shows them shows them as text. The pages are those of the table, too, so that axe sees them.
func (p *place) hostileTexts(t *testing.T) {
	e := p.hostileSystem(t)
	page := p.come(t, admin)
	list := p.come(t, admin).Open("/deliveries")
	list.See("#live-state", "live")
	key := p.publish(t, p.system.REST.Token, e)
	waittest.NoError(t, "the hostile answer to be recorded", func() error {
		d := p.system.REST.Do(t, http.MethodGet, "/v1/deliveries?recipient_id="+hostileHTTP, nil)["deliveries"]
		if l, _ := d.([]any); len(l) != 1 {
			return errNothing
		}
		return nil
	})
	// A bad event is rejected and kept as it came, to the byte.
	const bad = `{"specversion":"1.0","id":"hostile-2","source":"hostile-1","type":"<script>executed='type'</script>","time":"2026-11-21T10:00:00Z","data":{}}`
	c := harness.NewClient(p.system.REST.Base, p.system.REST.Token)
	defer c.Close()
	if a, err := c.CallAs("application/cloudevents+json", http.MethodPost, "/v1/events", []byte(bad)); err != nil ||
		a.Status == http.StatusOK {
		t.Fatalf("the bad event was taken: %d %v", a.Status, err)
	}
	list.See("#rows", key)
	if b := list.Breaches(); len(b) > 0 {
		t.Errorf("the live list: %q", b)
	}
	for _, x := range []struct {
		path string
		want []string
	}{
		{"/", []string{`<b onclick="executed='name'">Hostile</b>`, "HTTP 500"}},
		{"/?q=" + "%22%3E%3Cscript%3Eexecuted%3D1%3C%2Fscript%3E", nil},
		{"/deliveries", []string{key, `<b onclick=`}},
		{"/deliveries?externalKey=%22%3E%3Cscript%3Eexecuted%3D1%3C%2Fscript%3E", []string{`"><script>executed=1</script>`}},
		{"/deliveries/" + hostileHTTP + "/" + key,
			[]string{"answer-begins\"><script>executed='answer'</script>", "comment-begins", "customer-begins", "custom-begins"}},
		{"/deliveries/" + hostileMail + "/" + key, []string{"comment-begins", "customer-begins"}},
		{"/events/" + key, []string{"comment-begins", "key-begins"}},
		{"/events", []string{key}},
		{"/rejected", []string{"<script>executed='type'</script>"}},
		{"/recipients/" + hostileHTTP, []string{`<b onclick=`, "HTTP 500"}},
		{"/recipients/" + hostileMail, nil},
		{"/settings/fields", []string{"<script>executed='field'</script>"}},
		{"/settings/changes", nil},
		{"/health", nil},
	} {
		page.Open(x.path)
		text := page.Text("document.body.textContent")
		for _, want := range x.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not show %q", x.path, want)
			}
		}
		if b := page.Breaches(); len(b) > 0 {
			t.Errorf("%s: %q", x.path, b)
		}
		if n := page.Overflow(); n > 0 {
			t.Errorf("%s is %d pixels wider than its window", x.path, n)
		}
	}
	// The drawer and the preview of an event that has come.
	list.Click("#rows tr:has(a[href$='"+key+"']) a[data-drawer]", "").See("#drawer", "Response")
	page.Open("/recipients/"+hostileMail).Choose("Example event",
		page.Text(`[...eyes.labelled("Example event").options].find((o) => o.value.endsWith("`+key+`")).text`)).See("#preview-result",
		"comment-begins")
	for _, q := range []string{page.Text("eyes.breaches().join()"), list.Text("eyes.breaches().join()")} {
		if q != "" {
			t.Error(q)
		}
	}
}
