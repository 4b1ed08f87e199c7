package recipients

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// textFlags are the texts of single event types, each as TYPE=VALUE.
type textFlags struct{ subjects, bodyFiles, htmlFiles []string }

func (x *textFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&x.subjects, "subject-of", nil,
		"subject for one event type, as TYPE=TEXT; may be repeated; replaces all templates for single event types")
	f.StringArrayVar(&x.bodyFiles, "body-file-of", nil, "file with the text body for one event type, as TYPE=FILE; may be repeated")
	f.StringArrayVar(&x.htmlFiles, "html-body-file-of", nil, "file with the HTML body for one event type, as TYPE=FILE; may be repeated")
}

func (x *textFlags) add(files *input.Reader, t resource.Tree) error {
	overrides := resource.Tree{}
	for _, of := range []struct {
		flag, field string
		list        []string
		file        bool
	}{
		{"--subject-of", "subject", x.subjects, false}, {"--body-file-of", "body", x.bodyFiles, true},
		{"--html-body-file-of", "htmlBody", x.htmlFiles, true},
	} {
		for _, one := range of.list {
			eventType, value, ok := strings.Cut(one, "=")
			if !ok || eventType == "" || value == "" {
				return exit.Usagef("%s: %q is not in the form TYPE=VALUE", of.flag, one)
			}
			if of.file {
				text, err := files.Read(value)
				if err != nil {
					return err
				}
				value = string(text)
			}
			resource.Set(overrides, eventType+"."+of.field, value)
		}
	}
	if len(overrides) > 0 {
		resource.Set(t, "email.overrides", overrides)
	}
	return nil
}
