package openapiclient_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/proto/openapi"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// document reads the OpenAPI document with somebody else's eyes, and holds it against the specification: its examples too.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableMultiError()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestAWrongExampleIsFound shows that the examples are looked at.
func TestAWrongExampleIsFound(t *testing.T) {
	for right, wrong := range map[string]string{`"rate": 20`: `"rate": "many"`, `"state": "EXPIRED"`: `"state": "OVER"`, `"duplicate": false`: `"duplicate": 0`} {
		raw := bytes.Replace(openapi.Document(), []byte(right), []byte(wrong), 1)
		if bytes.Equal(raw, openapi.Document()) {
			t.Errorf("no example says %s", right)
		}
		doc, err := openapi3.NewLoader().LoadFromData(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err == nil {
			t.Errorf("an example that says %s is taken for valid", wrong)
		}
	}
}

// published lists the methods that REST gives, by name, with their request and answer.
func published() map[string]protoreflect.MethodDescriptor {
	out := map[string]protoreflect.MethodDescriptor{}
	for _, file := range []protoreflect.FileDescriptor{
		outboundv1.File_outbound_v1_recipient_service_proto, outboundv1.File_outbound_v1_settings_service_proto,
		outboundv1.File_outbound_v1_access_service_proto, outboundv1.File_outbound_v1_event_service_proto,
		outboundv1.File_outbound_v1_delivery_service_proto, outboundv1.File_outbound_v1_status_service_proto,
		outboundv1.File_outbound_v1_backup_service_proto, outboundv1.File_outbound_v1_audit_service_proto,
		outboundv1.File_outbound_v1_key_service_proto,
	} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if proto.HasExtension(methods.Get(j).Options(), annotations.E_Http) {
					out[string(methods.Get(j).Name())] = methods.Get(j)
				}
			}
		}
	}
	return out
}

func TestOpenAPIDocumentIsValidAndWhole(t *testing.T) {
	doc := document(t)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Security) != 1 || doc.Components.SecuritySchemes["bearer"] == nil {
		t.Errorf("version %s, security %v", doc.OpenAPI, doc.Security)
	}
	methods := published()
	found, examples := map[string]bool{}, 0
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			where := verb + " " + path
			// The second address of a method is that of a stored resource.
			name := strings.TrimSuffix(op.OperationID, "ById")
			method := methods[name]
			if method == nil {
				t.Errorf("%s is of no method: %s", where, op.OperationID)
				continue
			}
			found[name] = true
			examples += checkOperation(t, where, op, method)
		}
	}
	for name := range methods {
		if !found[name] {
			t.Errorf("%s has an address and is not in the document", name)
		}
	}
	if examples < 20 {
		t.Errorf("there are only %d examples", examples)
	}
}

// checkOperation returns how many examples there are.
func checkOperation(t *testing.T, where string, op *openapi3.Operation, method protoreflect.MethodDescriptor) (examples int) {
	if op.Summary == "" || len(op.Tags) != 1 {
		t.Errorf("%s: summary %q, tags %v", where, op.Summary, op.Tags)
	}
	answer := op.Responses.Value("200")
	refused := op.Responses.Default()
	if answer == nil || answer.Value.Description == nil || strings.Contains(*answer.Value.Description, "service Foo") {
		t.Fatalf("%s: does not say what is answered", where)
	}
	if refused == nil || refused.Ref != "#/components/responses/Error" {
		t.Errorf("%s: does not say how it is refused", where)
	}
	kinds := []string{"application/json"}
	if method.IsStreamingServer() {
		kinds = []string{"application/x-ndjson"}
	}
	for kind, media := range answer.Value.Content {
		if !slices.Contains(kinds, kind) || media.Schema == nil {
			t.Errorf("%s: answers as %s", where, kind)
		}
		if media.Example != nil {
			examples++
		}
	}
	if op.RequestBody != nil {
		for _, media := range op.RequestBody.Value.Content {
			if media.Example != nil {
				examples++
			}
		}
	}
	return examples
}

func TestOpenAPISchemasHaveEveryFieldOfTheContract(t *testing.T) {
	doc := document(t)
	fields := 0
	for _, m := range []proto.Message{
		&outboundv1.Recipient{}, &outboundv1.HttpRecipient{}, &outboundv1.EmailRecipient{}, &outboundv1.SmtpSettings{},
		&outboundv1.EmailSettings{},
		&outboundv1.CustomField{}, &outboundv1.EventType{}, &outboundv1.Appliance{}, &outboundv1.User{}, &outboundv1.Token{}, &outboundv1.Event{},
		&outboundv1.Delivery{}, &outboundv1.DeliveryDetail{}, &outboundv1.Replay{}, &outboundv1.Revision{}, &outboundv1.Status{},
	} {
		md := m.ProtoReflect().Descriptor()
		schema := doc.Components.Schemas[string(md.Name())]
		if schema == nil {
			t.Errorf("there is no schema %s", md.Name())
			continue
		}
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			p := schema.Value.Properties[fd.JSONName()]
			if p == nil {
				t.Errorf("%s.%s is not in the document", md.Name(), fd.JSONName())
				continue
			}
			fields++
			if err := explained(p); err != nil {
				t.Errorf("%s.%s: %v", md.Name(), fd.JSONName(), err)
			}
		}
	}
	if fields < 150 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

func explained(p *openapi3.SchemaRef) error {
	if p.Value == nil || p.Value.Description == "" {
		return fmt.Errorf("nothing says what it is")
	}
	return nil
}
