package cli_test

import (
	"bytes"
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli"
)

// hostile are texts that YAML writers often change.
func hostile() []string {
	return []string{
		"CRM\x1b[31m", "a\r\nb\r\n", "a\nb", "a\nb\n", "a\nb\n\n", "\n\na\n", " lead\nx", "x  \ny", "\tx\ny", "yes", "08:00", "0x1",
		"1e3", "~", "null",
		"# c", "a: b", "- x", "%A%", "'q'", "\"", "a\u2028b", "\u0085", "🙂", "a #b", "a\n\n\nb", "|", "> x", "&a", "*a", "!t", "{a}",
		"[b]", "a\\nb", " ",
		"\n", "a\t", "@x", "`", "2026-11-21T10:00:00Z", "x: |\n  y\n", "  a\n b", "\u202eabc", "a \n\nb", "---", "---\na", "...", "k: v\n---\n",
	}
}

// texts is a server whose custom fields have hostile names.
type texts struct{ fixedServer }

func (texts) ListCustomFields(context.Context, *outboundv1.ListCustomFieldsRequest) (*outboundv1.ListCustomFieldsResponse, error) {
	all := &outboundv1.ListCustomFieldsResponse{}
	for i, s := range hostile() {
		all.CustomFields = append(all.CustomFields, &outboundv1.CustomField{
			CodeName: "f" + string(rune('a'+i/26)) + string(rune('a'+i%26)), DisplayName: s,
		})
	}
	return all, nil
}

func (texts) ListRecipients(context.Context, *outboundv1.ListRecipientsRequest) (*outboundv1.ListRecipientsResponse, error) {
	overrides := map[string]*outboundv1.MailText{}
	headers := map[string]string{}
	for i, s := range hostile() {
		key := "t" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		overrides[key], headers[key] = &outboundv1.MailText{Subject: s, Body: s + "\n" + s, HtmlBody: s}, s
	}
	return &outboundv1.ListRecipientsResponse{Recipients: []*outboundv1.Recipient{
		{Id: "mail", DisplayName: "Mail", Enabled: proto.Bool(false), EventTypes: []string{"a"},
			Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Overrides: overrides}}},
		{Id: "web", DisplayName: "Web", EventTypes: []string{"a"}, Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Headers: headers, Backoff: &outboundv1.Backoff{Multiplier: 1.25}, BodyTemplate: "{\n\t\"a\": {{json .Vars.a}}\n}\n",
			SigningSecrets: []*outboundv1.SigningSecret{{Id: "ss-1", Kind: outboundv1.SigningSecret_HMAC_SHA256, ExpireTime: at(1)}},
			Auth:           &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Basic{Basic: &outboundv1.BasicAuth{Username: "u", PasswordSet: true}}},
		}}},
	}}, nil
}

func TestExportAppliedChangesNothingWhateverTheTexts(t *testing.T) {
	data := serveAll(t, texts{})
	for _, output := range []string{"yaml", "json"} {
		run := func(in []byte, args ...string) (int, string) {
			var out, errors bytes.Buffer
			root := cli.New(cli.Options{In: bytes.NewReader(in), Out: &out, Err: &errors, Getenv: func(string) string { return "" }})
			return cli.Execute(t.Context(), root, append(args, "--data", data)), out.String() + errors.String()
		}
		code, declaration := run(nil, "export", "-o", output)
		if code != 0 || len(declaration) < 5000 {
			t.Fatalf("export: exit %d\n%s", code, declaration)
		}
		for _, r := range declaration {
			if r == '\x1b' || r == '\r' {
				t.Errorf("the declaration holds %U in the clear", r)
			}
		}
		if code, out := run([]byte(declaration), "apply", "-f", "-", "--dry-run", "--exit-code"); code != 0 {
			t.Errorf("-o %s: apply --dry-run finds a difference: exit %d\n%s\n%s", output, code, out, declaration)
		}
	}
}
