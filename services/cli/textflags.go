package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// textFlags are the texts of single event types, each as TYPE=VALUE.
type textFlags struct{ subjects, bodyFiles, htmlFiles []string }

func (x *textFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&x.subjects, "subject-of", nil, "subject of one event type, as in TYPE=TEXT; may be repeated; the texts of single types replace all there are")
	f.StringArrayVar(&x.bodyFiles, "body-file-of", nil, "file with the text of one event type, as in TYPE=FILE; may be repeated")
	f.StringArrayVar(&x.htmlFiles, "html-body-file-of", nil, "file with the HTML of one event type, as in TYPE=FILE; may be repeated")
}

func (x *textFlags) add(files *reader, t tree) error {
	overrides := tree{}
	for _, of := range []struct {
		flag, field string
		list        []string
		file        bool
	}{
		{"--subject-of", "subject", x.subjects, false}, {"--body-file-of", "body", x.bodyFiles, true}, {"--html-body-file-of", "htmlBody", x.htmlFiles, true},
	} {
		for _, one := range of.list {
			eventType, value, ok := strings.Cut(one, "=")
			if !ok || eventType == "" || value == "" {
				return usage("%s %q is not TYPE=VALUE", of.flag, one)
			}
			if of.file {
				text, err := files.read(value)
				if err != nil {
					return err
				}
				value = string(text)
			}
			set(overrides, eventType+"."+of.field, value)
		}
	}
	if len(overrides) > 0 {
		set(t, "email.overrides", overrides)
	}
	return nil
}
