package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/e2e/openapiclient"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/proto/openapi"
)

// checked carries requests and holds both directions against the document.
type checked struct {
	router routers.Router
	to     http.RoundTripper

	mu     sync.Mutex
	calls  map[string]bool
	faults []error
}

// RoundTrip implements http.RoundTripper. A fault is remembered: the answer is what the server said.
func (c *checked) RoundTrip(r *http.Request) (*http.Response, error) {
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		return nil, fmt.Errorf("%s %s is not in the document: %w", r.Method, r.URL.Path, err)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
			MultiError: true},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		c.fault(fmt.Errorf("request %s: %w", route.Operation.OperationID, err))
	}
	resp, err := c.to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.calls[route.Operation.OperationID] = true
	c.mu.Unlock()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/x-ndjson") {
		// A stream is read as it comes; each line is held against its schema by who reads it.
		return resp, nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Options: input.Options}
	if err := openapi3filter.ValidateResponse(r.Context(), answer.SetBodyBytes(body)); err != nil {
		c.fault(fmt.Errorf("answer %d to %s: %w\n%s", resp.StatusCode, route.Operation.OperationID, err, body))
	}
	return resp, nil
}

func (c *checked) fault(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, err)
}

// generated is the generated client, checked, with the admin token.
func generated(t *testing.T, h *harness.System) (*openapiclient.ClientWithResponses, *checked) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &checked{router: router, to: transport, calls: map[string]bool{}}
	client, err := openapiclient.NewClientWithResponses(h.REST.Base, openapiclient.WithHTTPClient(&http.Client{Transport: c}),
		openapiclient.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+h.REST.Token)
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

func ptr[T any](v T) *T { return &v }

// answered fails unless a call succeeded.
func answered[T any](t *testing.T, what string, got *T, refused *openapiclient.Error, err error) *T {
	t.Helper()
	if err != nil || refused != nil || got == nil {
		t.Fatalf("%s: %v, %+v", what, err, refused)
	}
	return got
}

// TestAGeneratedClientDrivesEverything does with a client that somebody else's generator made of the document what an operator does.
func TestAGeneratedClientDrivesEverything(t *testing.T) {
	t.Parallel()
	h := harness.Start(t, harness.AllInOne)
	client, check := generated(t, h)
	receiver := harness.NewReceiver(t)
	receiver.Answer("crm", 500, 200)
	ctx := t.Context()

	servedIsCommitted(t, h)
	tail := tailing(t, client)
	made := createByClient(t, client, receiver)
	sent, err := client.PublishEventWithResponse(ctx, openapiclient.CloudEvent{
		Specversion: "1.0", Id: "e-1", Source: "appliance-1", Type: "support_conference_end",
		Time:    ptr(time.Now().UTC().Format(time.RFC3339Nano)),
		Subject: ptr("s-1"), Data: &map[string]any{"external_key": "INC-1"},
	})
	event := answered(t, "publish", sent.JSON200, sent.JSONDefault, err)
	arrived(t, receiver, "crm", 1)
	delivery := waitByClient(t, client, made, openapiclient.DeliveryStateDELIVERED)
	if delivery.EventId == nil || *delivery.EventId != *event.EventId || *delivery.Attempts != 2 {
		t.Errorf("delivered as %+v", delivery)
	}
	got, err := client.GetEventWithResponse(ctx, *event.EventId)
	whole := answered(t, "get the event", got.JSON200, got.JSONDefault, err)
	if len(*whole.Deliveries) != 1 || *(*whole.Deliveries)[0].RecipientId != made {
		t.Errorf("the event's deliveries: %+v", whole.Deliveries)
	}
	tail.until(*event.EventId)

	again, err := client.RetryDeliveriesWithResponse(ctx, openapiclient.RetryDeliveriesJSONRequestBody{
		Deliveries: &[]openapiclient.RetryDeliveriesRequestTarget{{RecipientId: &made, EventId: event.EventId}},
	})
	if r := answered(t, "retry", again.JSON200, again.JSONDefault, err); *r.Queued != 1 {
		t.Errorf("retry: %+v", r)
	}
	waittest.NoError(t, "the retried delivery", func() error {
		if n := len(receiver.Of("crm")); n < 3 {
			return fmt.Errorf("the receiver has %d posts of 3", n)
		}
		return nil
	})
	status, err := client.GetStatusWithResponse(ctx, &openapiclient.GetStatusParams{RecipientId: &made})
	if s := answered(t, "status", status.JSON200, status.JSONDefault, err); len(*s.Recipients) != 1 ||
		*(*s.Recipients)[0].RecipientId != made {
		t.Errorf("status: %+v", s)
	}
	refusedByClient(t, client, made)
	gone, err := client.DeleteRecipientWithResponse(ctx, made, &openapiclient.DeleteRecipientParams{})
	if err != nil || gone.StatusCode() != http.StatusOK {
		t.Fatalf("delete: %v, %+v", err, gone.JSONDefault)
	}

	check.report(t, "CreateRecipient", "UpdateRecipient", "PublishEvent", "ListDeliveries", "GetEvent", "RetryDeliveries", "GetStatus",
		"DeleteRecipient", "TailDeliveries")
}

// report tells of what did not fit the document, and of calls that were not made.
func (c *checked) report(t *testing.T, calls ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fault := range c.faults {
		t.Error(fault)
	}
	for _, id := range calls {
		if !c.calls[id] {
			t.Errorf("%s was not called", id)
		}
	}
}

func servedIsCommitted(t *testing.T, h *harness.System) {
	t.Helper()
	raw, err := http.Get(h.REST.Base + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Body.Close() }()
	served, err := io.ReadAll(raw.Body)
	if err != nil || !bytes.Equal(served, openapi.Document()) {
		t.Errorf("the document that is served is not the committed one: %v", err)
	}
}

func createByClient(t *testing.T, client *openapiclient.ClientWithResponses, receiver *harness.Receiver) (id string) {
	t.Helper()
	made, err := client.CreateRecipientWithResponse(t.Context(), &openapiclient.CreateRecipientParams{}, openapiclient.Recipient{
		DisplayName: "CRM", EventTypes: []string{"support_conference_end"}, Http: &openapiclient.HttpRecipient{Url: receiver.URL("crm")},
	})
	r := answered(t, "create", made.JSON200, made.JSONDefault, err)
	changed, err := client.UpdateRecipientWithResponse(t.Context(), *r.Id,
		&openapiclient.UpdateRecipientParams{IfMatch: ptr(made.HTTPResponse.Header.Get("ETag"))},
		openapiclient.RecipientPatch{Http: &openapiclient.HttpRecipientPatch{RetryInterval: ptr("0.2s")}})
	c := answered(t, "update", changed.JSON200, changed.JSONDefault, err)
	if c.DisplayName != "CRM" || *c.Http.RetryInterval != "0.200s" || c.Http.Url != receiver.URL("crm") {
		t.Errorf("a patch changed more or less than its field: %+v", c)
	}
	return *r.Id
}

func waitByClient(t *testing.T, client *openapiclient.ClientWithResponses, recipient string,
	state openapiclient.DeliveryState) openapiclient.Delivery {
	t.Helper()
	var found openapiclient.Delivery
	waittest.NoError(t, "the delivery to be "+string(state), func() error {
		list, err := client.ListDeliveriesWithResponse(t.Context(), &openapiclient.ListDeliveriesParams{RecipientId: &recipient, State: &state})
		if err != nil || list.JSON200 == nil {
			return fmt.Errorf("list: %w, %+v", err, list)
		}
		if n := len(*list.JSON200.Deliveries); n != 1 {
			return fmt.Errorf("there are %d deliveries", n)
		}
		found = (*list.JSON200.Deliveries)[0]
		return nil
	})
	return found
}

// refusedByClient reads a refusal as the document describes it.
func refusedByClient(t *testing.T, client *openapiclient.ClientWithResponses, id string) {
	t.Helper()
	stale, err := client.UpdateRecipientWithResponse(t.Context(), id, &openapiclient.UpdateRecipientParams{IfMatch: ptr(`"stale"`)},
		openapiclient.RecipientPatch{DisplayName: ptr("Other")})
	if err != nil || stale.StatusCode() != http.StatusConflict || stale.JSONDefault == nil ||
		*(*stale.JSONDefault.Details)[0].Reason != "STALE_ETAG" {
		t.Errorf("a stale etag: %v, %+v", err, stale.JSONDefault)
	}
	wrong, err := client.CreateRecipientWithResponse(t.Context(), &openapiclient.CreateRecipientParams{}, openapiclient.Recipient{
		DisplayName: "Wrong", EventTypes: []string{"nope"}, Http: &openapiclient.HttpRecipient{Url: "nonsense"},
	})
	if err != nil || wrong.StatusCode() != http.StatusBadRequest || wrong.JSONDefault == nil {
		t.Fatalf("an invalid recipient: %v, %+v", err, wrong)
	}
	var fields []string
	for _, d := range *wrong.JSONDefault.Details {
		for _, v := range *d.FieldViolations {
			fields = append(fields, *v.Field)
		}
	}
	if !slices.Contains(fields, "http.url") || !slices.Contains(fields, "eventTypes[0]") {
		t.Errorf("the fields that are wrong: %v", fields)
	}
}

// tailer reads the stream of deliveries.
type tailer struct {
	t    *testing.T
	seen chan string
}

// tailing begins to read deliveries as they are recorded.
func tailing(t *testing.T, client *openapiclient.ClientWithResponses) *tailer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := client.TailDeliveries(ctx, &openapiclient.TailDeliveriesParams{})
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		cancel()
		t.Fatalf("tail: %v, %+v", err, resp)
	}
	tl := &tailer{t: t, seen: make(chan string, 1000)}
	done := make(chan error, 1)
	go func() { done <- tl.read(resp.Body) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return tl
}

func (tl *tailer) read(body io.ReadCloser) error {
	defer func() { _ = body.Close() }()
	for dec := json.NewDecoder(body); ; {
		var line openapiclient.TailDeliveriesResponseLine
		if err := dec.Decode(&line); err != nil {
			return err
		}
		if line.Error != nil {
			return fmt.Errorf("the stream ends with %+v", line.Error)
		}
		for _, d := range *line.Result.Deliveries {
			tl.seen <- *d.EventId + " " + string(*d.State)
		}
	}
}

// until waits until the stream has told that an event was delivered.
func (tl *tailer) until(event string) {
	tl.t.Helper()
	late := waittest.Late()
	for {
		select {
		case got := <-tl.seen:
			if got == event+" DELIVERED" {
				return
			}
		case <-late:
			tl.t.Fatalf("the stream did not tell of %s", event)
		}
	}
}
