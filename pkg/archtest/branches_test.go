package archtest_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/archtest"
)

// branches are the places where channels are told apart.
func branches() []archtest.Spot {
	const (
		api     = "the fields of the channel's message in the API are checked, filled in, shown or rendered here"
		setting = "it is the email part of the settings, not the channel of a recipient"
	)
	var out []archtest.Spot
	for why, places := range map[string][]string{
		"it describes the channels":      {"pkg/recipient/channel.go"},
		"it decodes the channel's field": {"pkg/configclient/codec.go"},
		"it is the channel":              {"services/httpsender", "services/emailsender/...", "pkg/render/preview.go"},
		"it is this rule":                {"pkg/archtest"},
		api: {"services/config/internal/recipients/check.go", "services/config/internal/recipients/defaults.go",
			"services/config/internal/recipients/recipient.go", "services/config/internal/recipients/secrets.go",
			"services/config/internal/store/recipients.go",
			"services/cli/internal/deliveries/detail.go", "services/cli/internal/recipients/preview.go",
			"services/cli/internal/recipients/recipients.go", "services/console/internal/pages/deliveries/detail.go",
			"services/console/internal/pages/recipients"},
		setting: {"services/config/internal/settings", "services/config/internal/store/parts.go", "services/config/internal/revisions/view.go",
			"services/cli/internal/declare/export.go", "services/cli/internal/declare/wanted.go",
			"services/console/internal/pages/settings/relay.go"},
	} {
		for _, place := range places {
			out = append(out, archtest.Spot{Place: place, Why: why})
		}
	}
	return out
}

func TestABranchOnAChannelIsFoundHoweverItIsWritten(t *testing.T) {
	for _, statement := range []string{
		"if r.Email != nil {}", "if nil == r.HTTP {}", "return p.GetEmail() == nil", "if h := p.GetHttp(); h != nil {}",
		"switch { case p.GetHttp() != nil: }", "switch p.GetChannel().(type) { case *v1.Recipient_Http: }",
		"_, ok := p.GetChannel().(*v1.Recipient_Email)", "switch t := r.Target().(type) { case *HTTPTarget: _ = t }",
		`if channel == "email" {}`, `switch r.Channel() { case "sms", "email": }`,
	} {
		h := build(t, map[string]string{
			"pkg/a/a.go": "package a\nfunc f() {\n\t" + statement + "\n}\n", "pkg/b/b.go": "package b\nfunc f() {\n\t" + statement + "\n}\n",
			"services/c/c.go": "package c\nfunc f() {\n\t" + statement + "\n}\n",
		})
		found := h.Branches([]string{"pkg/..."}, []archtest.Spot{{Place: "pkg/b"}})
		if len(found) != 1 || !strings.HasPrefix(found[0].String(), "pkg/a/a.go:3: branches on a channel: ") {
			t.Errorf("%s: %v", statement, found)
		}
	}
	h := build(t, map[string]string{"pkg/a/a.go": "package a\nfunc f() {\n\tr := &v1.Recipient_Http{Http: p.GetHttp()}\n\tif u.Scheme == " +
		"\"http\" || r.Other != nil {}\n\tswitch x.Kind { case web: send(r.Email) }\n}\n",
		"services/c/c.go": "package c\n"})
	if found := h.Branches([]string{"pkg/..."}, nil); len(found) != 0 {
		t.Errorf("not branches: %v", found)
	}
}
