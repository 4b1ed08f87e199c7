package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/allinone"
)

// TestSecretsLeaveByNoWay plants a canary in every field that holds a secret, as the descriptors mark them, has events delivered to
// receivers that fail, changes everything once more, and looks for the canaries in all that the product writes and answers.
func TestSecretsLeaveByNoWay(t *testing.T) {
	log := &waittest.Log{}
	h := open(t, func(o *allinone.Options) {
		o.Telemetry.LogLevel, o.Telemetry.LogTo, o.AllowEgress = "debug", log, []string{"127.0.0.0/8"}
	})
	p := &planter{t: t, h: h, planted: map[protoreflect.FullName][]string{}}
	p.plant()
	for _, f := range secretFields(t) {
		if len(p.planted[f]) == 0 {
			t.Errorf("%s is marked as a secret and holds no canary: plant one in plant", f)
		}
	}
	p.exercise()
	places := p.places()
	places["log"] = [][]byte{[]byte(log.String())}
	finds, searched := 0, 0
	for place, texts := range places {
		size := 0
		for _, text := range texts {
			size += len(text)
			for field, canaries := range p.planted {
				for _, c := range canaries {
					for _, form := range formsOf(c) {
						searched++
						if i := bytes.Index(text, []byte(form)); i >= 0 {
							finds++
							t.Errorf("%s is in %s: …%.200s…", field, place, text[max(0, i-100):min(len(text), i+60)])
						}
					}
				}
			}
		}
		t.Logf("%s: %d texts of %d bytes", place, len(texts), size)
		if size == 0 || place != "metrics" && place != "log" && !containsVisible(texts) {
			t.Errorf("%s was not searched: what is no secret is not there either", place)
		}
	}
	t.Logf("%d fields, %d searches, %d finds", len(p.planted), searched, finds)
}

// visible is in the names of what has secrets, to show that a search reaches them.
const visible = "visible-marker"

func containsVisible(texts [][]byte) bool {
	return slices.ContainsFunc(texts, func(text []byte) bool { return bytes.Contains(text, []byte(visible)) })
}

// formsOf are the ways in which a secret may be written.
func formsOf(canary string) []string {
	encoded := func(s string) string { return strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=") }
	return []string{canary, encoded(canary), encoded("u:" + canary), encoded("\x00u\x00" + canary)}
}

// secretFields are the fields that the contract marks as secrets (debug_redact). A field that looks like a secret and is not marked fails.
func secretFields(t *testing.T) (all []protoreflect.FullName) {
	t.Helper()
	suspicious := regexp.MustCompile(`password|secret|token|private_key|credential`)
	harmless := regexp.MustCompile(`page_token$|^token_(url|format)$|_set$|_time$|_hash$|_sha256$|_bcrypt$|^secret_headers$`)
	var walk func(protoreflect.MessageDescriptors)
	walk = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			m := messages.Get(i)
			walk(m.Messages())
			for j := range m.Fields().Len() {
				f := m.Fields().Get(j)
				o, _ := f.Options().(*descriptorpb.FieldOptions)
				name := string(f.Name())
				switch {
				case o.GetDebugRedact():
					all = append(all, f.FullName())
				case f.Kind() == protoreflect.StringKind && suspicious.MatchString(name) && !harmless.MatchString(name):
					t.Errorf("%s looks like a secret and has no debug_redact: mark it, or say in this test why it is none", f.FullName())
				}
			}
		}
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("outbound.v1", func(f protoreflect.FileDescriptor) bool {
		walk(f.Messages())
		return true
	})
	if len(all) < 15 {
		t.Fatalf("found %d secret fields: that cannot be all", len(all))
	}
	return all
}

// planter plants canaries.
type planter struct {
	t       *testing.T
	h       *fixture
	planted map[protoreflect.FullName][]string
	// recipients are their ids; client is a browser with a session.
	recipients []string
	cookie     string
	event      string
	pages      int
}

// canary makes a secret for a field and remembers it.
func (p *planter) canary(field protoreflect.FullName) string {
	c := fmt.Sprintf("canary%dx%s", len(p.planted), base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%.12s", field.Name())))
	p.remember(field, c)
	return c
}

func (p *planter) remember(field protoreflect.FullName, secret string) {
	p.t.Helper()
	if len(secret) < 12 {
		p.t.Fatalf("the canary of %s is %q: it must be long enough to be found", field, secret)
	}
	p.planted[field] = append(p.planted[field], secret)
}

// rest makes a call as the admin and returns the body.
func (p *planter) rest(method, path, body string) string {
	p.t.Helper()
	code, _, answer := p.http(method, path, http.Header{"Authorization": {"Bearer " + strings.TrimSpace(p.h.env["OUTBOUND_TOKEN"])}}, body)
	if code != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
	return answer
}

func (p *planter) http(method, path string, header http.Header, body string) (int, http.Header, string) {
	p.t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, p.h.env["OUTBOUND_URL"]+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header = header
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := c.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	answer, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(answer)
}

// get decodes a body.
func get[V any](t *testing.T, body string) (v V) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// service calls as a service does.
func (p *planter) service() (outboundv1.SettingsServiceClient, func()) {
	p.t.Helper()
	file := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(p.h.dir, "data", name))
		if err != nil {
			p.t.Fatal(err)
		}
		return strings.TrimSpace(string(raw))
	}
	conn, err := rpc.Dial(get[allinone.Endpoints](p.t, file("endpoints.json")).GRPC, file("service.token"))
	if err != nil {
		p.t.Fatal(err)
	}
	return outboundv1.NewSettingsServiceClient(conn), func() { _ = conn.Close() }
}
