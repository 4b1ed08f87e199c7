package revisions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// revisionView is a resource as a revision shows it. Secrets are only compared.
type revisionView struct {
	// none says that there is no resource, gone that there is none or that it is being deleted.
	none, gone bool
	// text is the resource in JSON.
	text string
	// fields are its values in JSON, by path. secrets are what is sealed or hashed.
	fields  map[string]string
	secrets map[string][]byte
}

// revisionViewOf decodes a change.
func revisionViewOf(b *store.KV, c bus.Change) (revisionView, error) {
	if c.Removed || c.Key == "" {
		return revisionView{none: true, gone: true}, nil
	}
	if c.Key == store.KeyBackups {
		return newRevisionView(&outboundv1.WatchSettingsResponse{}, nil)
	}
	if b.Name() == bus.BucketRecipients {
		r, err := store.DecodeRecipient(c.Entry)
		if err != nil {
			return revisionView{}, err
		}
		shown, _ := proto.Clone(r.GetRecipient()).(*outboundv1.Recipient)
		configclient.Conceal(shown.GetHttp())
		out, err := newRevisionView(shown, secretsOfRecipient(r.StoredRecipient))
		out.gone = r.Deleting()
		return out, err
	}
	p, err := store.DecodePart(c.Entry)
	if err != nil {
		return revisionView{}, err
	}
	return newRevisionView(resourceOfPart(p))
}

// secretsOfRecipient returns the sealed secrets by the paths that the API has.
func secretsOfRecipient(r *outboundv1.StoredRecipient) map[string][]byte {
	out := map[string][]byte{}
	for path, sealed := range r.GetSealedSecrets() {
		if id, ok := strings.CutPrefix(path, credential.SigningSecretPath("")); ok {
			path = "http.signingSecrets[" + id + "].secret"
		}
		if name, ok := strings.CutPrefix(path, credential.SecretHeaderPath("")); ok {
			path = fmt.Sprintf("http.headers[%q]", name)
		}
		out[path] = sealed
	}
	return out
}

// resourceOfPart returns the resource that a part of the settings holds, and its secrets by path.
func resourceOfPart(p *outboundv1.WatchSettingsResponse) (proto.Message, map[string][]byte) {
	switch {
	case p.GetSmtp() != nil:
		secrets := maps.Clone(p.GetSealedSmtpSecrets())
		if secrets == nil {
			secrets = map[string][]byte{}
		}
		if sealed := p.GetSealedSmtpPassword(); len(sealed) > 0 {
			secrets[credential.SecretSMTPPassword] = sealed
		}
		return p.GetSmtp(), secrets
	case p.GetEmail() != nil:
		return p.GetEmail(), nil
	case len(p.GetEventTypes()) > 0:
		return p.GetEventTypes()[0], nil
	case len(p.GetAppliances()) > 0:
		a := p.GetAppliances()[0]
		return a.GetAppliance(), map[string][]byte{"password": []byte(a.GetPasswordBcrypt()), "token": a.GetTokenSha256()}
	case len(p.GetUsers()) > 0:
		u := p.GetUsers()[0]
		return u.GetUser(), map[string][]byte{"password": []byte(u.GetPasswordHash())}
	case len(p.GetTokens()) > 0:
		t := p.GetTokens()[0]
		return t.GetToken(), map[string][]byte{"secret": t.GetSecretSha256()}
	default:
		return &outboundv1.ListCustomFieldsResponse{CustomFields: p.GetCustomFields()}, nil
	}
}

func newRevisionView(m proto.Message, secrets map[string][]byte) (revisionView, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return revisionView{}, fmt.Errorf("encode a revision: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return revisionView{}, fmt.Errorf("encode a revision: %w", err)
	}
	prune(tree)
	out := revisionView{text: compactJSON(tree), fields: map[string]string{}, secrets: map[string][]byte{}}
	flatten(out.fields, "", tree)
	for path, sealed := range secrets {
		if len(sealed) > 0 {
			out.secrets[strings.TrimPrefix(path, "smtp.")] = sealed
		}
	}
	return out, nil
}

// derived returns the fields that follow from others or from the revision itself.
func derived() []string { return []string{"etag", "warnings", "caCertificates"} }

// omitted reports whether differences leave out a field: it changes with every change, or a secret has a line of its own.
func omitted(key string, v any) bool {
	_, flag := v.(bool)
	return key == "createTime" || key == "updateTime" || flag && strings.HasSuffix(key, "Set")
}

func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range derived() {
			delete(v, key)
		}
		for _, x := range v {
			prune(x)
		}
	case []any:
		for _, x := range v {
			prune(x)
		}
	}
}

// flatten writes each value by its path. Elements with an id are named by it; other lists are one value.
func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			if omitted(key, x) {
				continue
			}
			next := strings.TrimPrefix(path+"."+key, ".")
			if path == "http.headers" {
				next = fmt.Sprintf("%s[%q]", path, key)
			}
			flatten(out, next, x)
		}
	case []any:
		if ids, ok := elementIDs(v); ok {
			for i, x := range v {
				flatten(out, path+"["+ids[i]+"]", x)
			}
			return
		}
		out[path] = compactJSON(v)
	default:
		out[path] = compactJSON(v)
	}
}

// elementIDs returns the ids of the elements of a list, if each has one of its own.
func elementIDs(list []any) ([]string, bool) {
	var ids []string
	for _, x := range list {
		fields, _ := x.(map[string]any)
		id := ""
		for _, key := range []string{"id", "codeName", "eventType", "name"} {
			if text, ok := fields[key].(string); ok {
				id = text
				break
			}
		}
		if id == "" || slices.Contains(ids, id) {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, len(ids) > 0
}

// compactJSON returns a value in JSON, without blanks and with sorted keys.
func compactJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// A value that was decoded from JSON can be encoded as JSON.
	_ = e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

// The values of a changed secret in a difference.
const (
	secretSet     = `"set"`
	secretChanged = `"changed"`
)

// difference returns what differs between two views, by path.
func difference(was, is revisionView) []*outboundv1.Change {
	var out []*outboundv1.Change
	for _, path := range pathsOf(was.fields, is.fields) {
		if before, after := was.fields[path], is.fields[path]; before != after {
			out = append(out, &outboundv1.Change{Path: path, Before: before, After: after})
		}
	}
	for _, path := range pathsOf(was.secrets, is.secrets) {
		before, after := was.secrets[path], is.secrets[path]
		c := &outboundv1.Change{Path: path}
		switch {
		case bytes.Equal(before, after):
			continue
		case before == nil:
			c.After = secretSet
		case after == nil:
			c.Before = secretSet
		default:
			c.Before, c.After = secretSet, secretChanged
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b *outboundv1.Change) int { return strings.Compare(a.GetPath(), b.GetPath()) })
	return out
}

func pathsOf[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
