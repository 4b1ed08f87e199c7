package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// webhook is an HTTP recipient in JSON, with fields over the least ones.
func webhook(name, to string, types []string, over harness.Object) harness.Object {
	target := harness.Object{"url": to}
	for k, v := range over {
		target[k] = v
	}
	return harness.Object{"displayName": name, "eventTypes": types, "http": target}
}

// arrived waits until a recipient has been sent n different events.
func arrived(t *testing.T, r *harness.Receiver, recipient string, n int) []harness.Receipt {
	t.Helper()
	waittest.NoError(t, recipient+" to get its events", func() error {
		if got := r.Distinct(recipient); got < n {
			return errShort{recipient, got, n}
		}
		return nil
	})
	return r.Of(recipient)
}

type errShort struct {
	recipient string
	got, want int
}

func (e errShort) Error() string {
	return e.recipient + " has " + strconv.Itoa(e.got) + " of " + strconv.Itoa(e.want)
}

// publish hands in an event, as an appliance does: again with the same id while the store is slow or busy.
func publish(t *testing.T, a *harness.Appliance, e harness.Event) harness.Reply {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	r, err := a.PublishUntilAccepted(ctx, t, e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func arrivesOnce(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "arrives-1")
	h.REST.Do(t, http.MethodPost, "/v1/custom-fields", harness.Object{"codeName": "region", "displayName": "Region"})
	types := []string{"support_conference_member_added"}
	scope := []string{a.ID}
	byREST := webhook("Arrives by REST", site.SecureURL("rest"), types,
		harness.Object{"caCertificatePem": site.CAPEM(), "sendCustomFields": true})
	byREST["appliances"] = scope
	h.AddRecipient(t, byREST)
	api := outboundv1.NewRecipientServiceClient(h.GRPC(t, "RecipientService"))
	made, err := api.CreateRecipient(t.Context(), &outboundv1.CreateRecipientRequest{Recipient: &outboundv1.Recipient{
		Id: "arrives-by-grpc", DisplayName: "Arrives by gRPC", EventTypes: types, Appliances: scope,
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Url: site.URL("grpc"), RetryInterval: durationpb.New(time.Second)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetId() != "arrives-by-grpc" || made.GetEtag() == "" || !made.GetEnabled() {
		t.Fatalf("made %v", made)
	}

	data := harness.Object{
		"external_key": "INC-1 & co = ü", "custom_fields": harness.Object{"region": "emea", "unknown": "never"},
		"type": "representative", "name": "Jo Doe", "user_id": json.Number("12345"), "nested": harness.Object{"deep": true},
	}
	byNATS, byPOST := harness.NewEvent(a.ID, "by-nats", types[0], data), harness.NewEvent(a.ID, "by-post", types[0], data)
	reply := publish(t, a, byNATS)
	if reply.EventID != byNATS.Key() || reply.Duplicate || reply.Sequence.String() == "0" {
		t.Errorf("replied %+v", reply)
	}
	if reply, err = a.PostUntilAccepted(t, byPOST); err != nil || reply.EventID != byPOST.Key() {
		t.Fatalf("posted: %+v, %v", reply, err)
	}
	want := map[string]string{
		"event": types[0], "version": "1", "appliance_id": a.ID, "lsid": byNATS.Subject, "external_key": "INC-1 & co = ü",
		"type": "representative", "name": "Jo Doe", "user_id": "12345", "nested.deep": "true",
	}
	arrived(t, site, "rest", 2)
	arrived(t, site, "grpc", 2)
	for _, name := range []string{"rest", "grpc"} {
		for _, r := range site.Of(name) {
			checkForm(t, r, want, name == "rest", map[string]string{byNATS.Key(): byNATS.Time, byPOST.Key(): byPOST.Time})
		}
	}
	keys := []string{byNATS.Key(), byPOST.Key()}
	settled(t, h, []string{"arrives-by-rest", "arrives-by-grpc"}, map[string]int{"DELIVERED": 2})
	if a := site.Account(keys, []string{"rest", "grpc"}); a.Arrived != 4 || len(a.Lost)+len(a.Phantom)+len(a.Changed)+a.Duplicates > 0 {
		t.Errorf("%v", a)
	}
	checkEvent(t, h, byNATS.Key())
}

// checkForm compares a request, field by field, with the documented variables.
func checkForm(t *testing.T, r harness.Receipt, want map[string]string, custom bool, times map[string]string) {
	t.Helper()
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		t.Fatalf("%s got %q: %v", r.Recipient, r.Body, err)
	}
	all := map[string]string{}
	for k, v := range want {
		all[k] = v
	}
	if custom {
		all["custom.region"] = "emea"
	}
	at, err := time.Parse(time.RFC3339, times[r.ID])
	if err != nil {
		t.Fatalf("%s got the unknown event %q", r.Recipient, r.ID)
	}
	all["timestamp"] = strconv.FormatInt(at.Unix(), 10)
	got := map[string]string{}
	for k := range form {
		got[k] = strings.Join(form[k], "|")
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("%s: variables of %s (-want +got):\n%s", r.Recipient, r.ID, diff)
	}
	for header, begin := range map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Outbound/", "Webhook-Timestamp": "1", "Traceparent": "00-",
	} {
		if v := r.Header.Get(header); !strings.HasPrefix(v, begin) {
			t.Errorf("%s: header %s is %q, want it to begin with %q", r.Recipient, header, v, begin)
		}
	}
}

// settled waits until the deliveries of each recipient have come to exactly these states.
func settled(t *testing.T, h *harness.System, recipients []string, want map[string]int) {
	t.Helper()
	for _, id := range recipients {
		waittest.NoError(t, "the deliveries of "+id+" to settle", func() error {
			if diff := cmp.Diff(want, h.REST.States(t, id)); diff != "" {
				return errDiff(diff)
			}
			return nil
		})
	}
}

type errDiff string

func (e errDiff) Error() string { return "(-want +got):\n" + string(e) }

// checkEvent looks an accepted event up, with its deliveries. Its acceptance is recorded a moment after it was answered.
func checkEvent(t *testing.T, h *harness.System, key string) {
	t.Helper()
	var answer harness.Answer
	waittest.NoError(t, key+" to be recorded", func() (err error) {
		if answer, err = h.REST.Call(http.MethodGet, "/v1/events/"+url.PathEscape(key), nil); err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("it is answered %d %s", answer.Status, answer.Body)
		}
		return err
	})
	e := answer.Object(t)
	deliveries, _ := e["deliveries"].([]any)
	if e["eventId"] != key || e["decision"] != "ACCEPTED" || len(deliveries) != 2 {
		t.Errorf("event %s reads %v", key, e)
	}
}

func everyType(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "types-1")
	list, _ := h.REST.Do(t, http.MethodGet, "/v1/event-types", nil)["eventTypes"].([]any)
	var types []string
	for _, x := range list {
		types = append(types, x.(harness.Object)["id"].(string))
	}
	if len(types) < 12 {
		t.Fatalf("the catalogue has %v", types)
	}
	r := webhook("All types", site.URL("types"), types, nil)
	r["appliances"] = []string{a.ID}
	h.AddRecipient(t, r)
	for _, x := range types {
		publish(t, a, harness.NewEvent(a.ID, "of-"+x, x, harness.Object{}))
	}
	got := map[string]bool{}
	for _, r := range arrived(t, site, "types", len(types)) {
		form, err := url.ParseQuery(string(r.Body))
		if err != nil {
			t.Fatal(err)
		}
		if r.ID != a.ID+"~of-"+form.Get("event") {
			t.Errorf("%s came as %s", r.ID, form.Get("event"))
		}
		got[form.Get("event")] = true
	}
	if len(got) != len(types) {
		t.Errorf("got %v of %v", got, types)
	}
}

func arrivesAsJSON(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "json-1")
	r := webhook("JSON", site.URL("json"), []string{"support_conference_end"},
		harness.Object{"format": "JSON", "signingSecrets": []harness.Object{{}}})
	r["appliances"] = []string{a.ID}
	h.AddRecipient(t, r)
	e := harness.NewEvent(a.ID, "e-1", "support_conference_end", harness.Object{"big": json.Number("12345678901234567890")})
	publish(t, a, e)
	got := arrived(t, site, "json", 1)[0]
	var back harness.Object
	dec := json.NewDecoder(strings.NewReader(string(got.Body)))
	dec.UseNumber()
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
	data, _ := back["data"].(harness.Object)
	if back["id"] != e.ID || back["source"] != a.ID || data["big"] != json.Number("12345678901234567890") {
		t.Errorf("came as %s", got.Body)
	}
	if !strings.HasPrefix(got.Header.Get("Content-Type"), "application/cloudevents+json") ||
		!strings.HasPrefix(got.Header.Get("Webhook-Signature"), "v1,") {
		t.Errorf("headers %v", got.Header)
	}
}

func mailArrives(t *testing.T, h *harness.System) {
	relay := smtptest.Start(t, smtptest.Options{})
	a := h.AddAppliance(t, "mail-1")
	h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp", harness.Object{
		"host": relay.Host(), "port": relay.Port(), "encryption": "NONE", "fromAddress": "outbound@example.com", "fromName": "Outbound",
	})
	id := h.AddRecipient(t, harness.Object{
		"displayName": "Mail", "eventTypes": []string{"support_conference_end"}, "appliances": []string{a.ID},
		"email": harness.Object{
			"addresses": []string{"one@example.com", "two@example.com"}, "requireExternalKey": true,
			"subject": "Ended: %EXTERNAL_KEY%", "body": "Session %LSID% of %APPLIANCE_ID%\n",
		},
	})
	publish(t, a, harness.NewEvent(a.ID, "without-key", "support_conference_end", harness.Object{}))
	e := harness.NewEvent(a.ID, "with-key", "support_conference_end", harness.Object{"external_key": "INC-7"})
	publish(t, a, e)
	settled(t, h, []string{id}, map[string]int{"DELIVERED": 1, "SKIPPED": 1})
	to := map[string]int{}
	for _, m := range relay.Mails() {
		for _, address := range m.To {
			to[address]++
		}
		if s := m.Header.Get("Subject"); s != "Ended: INC-7" {
			t.Errorf("subject %q", s)
		}
		if !strings.Contains(string(m.Body), "Session "+e.Subject+" of "+a.ID) {
			t.Errorf("body %q", m.Body)
		}
	}
	if diff := cmp.Diff(map[string]int{"one@example.com": 1, "two@example.com": 1}, to); diff != "" {
		t.Errorf("mails by address (-want +got):\n%s", diff)
	}
}

func doorsAreLocked(t *testing.T, h *harness.System) {
	for _, token := range []string{"", "wrong"} {
		c := harness.NewClient(h.REST.Base, token)
		defer c.Close()
		for _, path := range []string{"/v1/recipients", "/v1/settings/smtp", "/v1/events", "/v1/deliveries", "/v1/status", "/v1/appliances"} {
			if code, p := c.Refused(t, http.MethodGet, path, nil); code != http.StatusUnauthorized || p.Code != int(codes.Unauthenticated) {
				t.Errorf("GET %s with token %q: %d %+v", path, token, code, p)
			}
		}
	}
	a := h.AddAppliance(t, "locked-1")
	c := harness.NewClient(h.REST.Base, a.Token)
	defer c.Close()
	if code, _ := c.Refused(t, http.MethodGet, "/v1/recipients", nil); code != http.StatusForbidden && code != http.StatusUnauthorized {
		t.Errorf("an appliance's token reads recipients: %d", code)
	}
	admin := outboundv1.NewRecipientServiceClient(h.GRPC(t, "RecipientService"))
	stream, err := admin.WatchRecipients(t.Context(), &outboundv1.WatchRecipientsRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("watching sealed secrets with the admin token: %v, want PermissionDenied", err)
	}
}
