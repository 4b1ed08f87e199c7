package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/outbound-events/outbound/pkg/spelling"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// fieldPrefix begins the annotations of a command that name the flag of a field of the API.
const fieldPrefix = "field "

// NameFields says which flags set which fields of the API, so that an error names the flag that was given. A field is named by its JSON
// path, without indexes.
func NameFields(cmd *cobra.Command, flags map[string]string) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	for field, flag := range flags {
		cmd.Annotations[fieldPrefix+field] = flag
	}
}

// fields is an error about fields, which can name them otherwise.
type fields interface {
	error
	NameFields(name func(field string) string)
}

// nameFlags names flags in place of fields of the API, in an error of a command.
func nameFlags(cmd *cobra.Command, err error) error {
	var about fields
	if errors.As(err, &about) {
		about.NameFields(func(field string) string { return flagOf(cmd, field) })
	}
	return err
}

var index = regexp.MustCompile(`\[[^\]]*\]`)

// flagOf is the flag that sets a field, or the field itself if a file has set it, or no flag does.
func flagOf(cmd *cobra.Command, field string) string {
	fromFile := false
	if f := cmd.Flags().Lookup("file"); f != nil {
		fromFile = f.Changed
	}
	for path := index.ReplaceAllString(field, ""); path != ""; {
		name := cmd.Annotations[fieldPrefix+path]
		if f := cmd.Flags().Lookup(name); name != "" && f != nil && (f.Changed || !fromFile) {
			return "--" + name
		}
		at := strings.LastIndexByte(path, '.')
		path = path[:max(at, 0)]
	}
	return field
}

// unknownFlag finds the name in what pflag says about a flag that does not exist.
var unknownFlag = regexp.MustCompile(`^unknown flag: --([^=\s]+)`)

// FlagError is a usage error for what is wrong with the flags of a command. It suggests a flag that is spelled alike.
func FlagError(cmd *cobra.Command, err error) error {
	found := unknownFlag.FindStringSubmatch(err.Error())
	if found == nil {
		return exit.Usagef("%w", err)
	}
	var known []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	}
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	if near, ok := nearest(found[1], known); ok {
		return exit.Usagef("%w, did you mean --%s: see %q", err, near, cmd.CommandPath()+" --help")
	}
	return exit.Usagef("%w: see %q", err, cmd.CommandPath()+" --help")
}

// suggested adds the resource that was meant to an error about one that does not exist.
func (env *Env) suggested(cmd *cobra.Command, c *client.Client, args []string, err error) error {
	if exit.Code(err) != exit.CodeNotFound || len(args) == 0 {
		return err
	}
	_, argument, _ := strings.Cut(cmd.Use, " ")
	argument, _, _ = strings.Cut(argument, " ")
	find := completionOf(argument)
	if find == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	all, failed := find(ctx, c)
	if failed != nil {
		return err
	}
	known := make([]string, len(all))
	for i, x := range all {
		known[i], _, _ = strings.Cut(x, "\t")
	}
	if near, ok := nearest(args[0], known); ok && near != args[0] {
		return fmt.Errorf("%w, did you mean %q", err, near)
	}
	return err
}

// nearest is the known word that a word may be meant for: one that begins with it, or is at most two edits away.
func nearest(word string, known []string) (string, bool) {
	if near, ok := spelling.Nearest(word, known, 3); ok {
		return near, true
	}
	for _, k := range known {
		if len(word) > 2 && (strings.HasPrefix(k, word) || strings.HasSuffix(k, "-"+word)) {
			return k, true
		}
	}
	return "", false
}
