package command

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// flagKind is how a flag's value is read.
type flagKind int

const (
	flagText flagKind = iota + 1
	// flagWord is a name of an enumeration, in any case.
	flagWord
	flagBool
	flagInt
	flagFloat
	flagList
	flagDuration
	// flagPairs is a list of name=value.
	flagPairs
	// flagFile is the text of a file.
	flagFile
	// flagSecret is the text of a file without its line's end.
	flagSecret
)

// FieldFlag is a flag that sets one field of a resource.
type FieldFlag struct {
	// name of the flag, and path of the field in the spelling of the REST API.
	name, path string
	kind       flagKind
	help       string
}

// TextFlag is a flag with a text.
func TextFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagText, help} }

// WordFlag is a flag with a name of an enumeration, in any case.
func WordFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagWord, help} }

// BoolFlag is a flag that is on or off.
func BoolFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagBool, help} }

// IntFlag is a flag with a number.
func IntFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagInt, help} }

// FloatFlag is a flag with a fraction.
func FloatFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagFloat, help} }

// ListFlag is a flag that may be repeated.
func ListFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagList, help} }

// DurationFlag is a flag with a duration.
func DurationFlag(name, path, help string) FieldFlag {
	return FieldFlag{name, path, flagDuration, help}
}

// PairsFlag is a flag with a name and a value, which may be repeated.
func PairsFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagPairs, help} }

// FileFlag is a flag that names a file, whose text is the value.
func FileFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagFile, help} }

// SecretFlag is a flag that names a file with a secret, whose line's end is cut.
func SecretFlag(name, path, help string) FieldFlag { return FieldFlag{name, path, flagSecret, help} }

// DefineFields adds flags to a command.
func DefineFields(cmd *cobra.Command, flags []FieldFlag) {
	for _, x := range flags {
		x.define(cmd.Flags())
		NameFields(cmd, map[string]string{x.path: x.name})
	}
}

func (x FieldFlag) define(f *pflag.FlagSet) {
	switch x.kind {
	case flagBool:
		f.Bool(x.name, false, x.help)
	case flagInt:
		f.Int(x.name, 0, x.help)
	case flagFloat:
		f.Float64(x.name, 0, x.help)
	case flagList:
		f.StringSlice(x.name, nil, x.help)
	case flagPairs:
		f.StringArray(x.name, nil, x.help)
	case flagDuration:
		DurationVar(f, new(time.Duration), x.name, x.help)
	default:
		f.String(x.name, "", x.help)
	}
}

// value reads the value that was given.
func (x FieldFlag) value(files *input.Reader, f *pflag.FlagSet) (any, error) {
	switch x.kind {
	case flagText:
		return f.GetString(x.name)
	case flagWord:
		v, err := f.GetString(x.name)
		return strings.ToUpper(strings.ReplaceAll(v, "-", "_")), err
	case flagBool:
		return f.GetBool(x.name)
	case flagInt:
		return f.GetInt(x.name)
	case flagFloat:
		return f.GetFloat64(x.name)
	case flagList:
		return f.GetStringSlice(x.name)
	case flagDuration:
		d, err := resource.ParseDuration(f.Lookup(x.name).Value.String())
		return resource.Seconds(d), err
	case flagPairs:
		given, err := f.GetStringArray(x.name)
		if err != nil {
			return nil, err
		}
		return NamedPairs(x.name, given)
	case flagFile, flagSecret:
		path, err := f.GetString(x.name)
		if err != nil {
			return nil, err
		}
		if x.kind == flagSecret {
			return files.ReadSecret(path)
		}
		return files.ReadText(path)
	default:
		return nil, fmt.Errorf("flag --%s is of an unknown kind %d", x.name, x.kind)
	}
}

// NamedPairs reads the values name=value of a flag as a list of objects with a name and a value.
func NamedPairs(flag string, given []string) ([]any, error) {
	var out []any
	for _, pair := range given {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, exit.Usagef("--%s %q is not in the form name=value", flag, pair)
		}
		out = append(out, resource.Tree{"name": strings.TrimSpace(name), "value": strings.TrimSpace(value)})
	}
	return out, nil
}

// FlagTree joins a file, if one is named, and the flags that were given. Where names the source, for errors.
func FlagTree(files *input.Reader, cmd *cobra.Command, file string, flags []FieldFlag) (t resource.Tree, where string, err error) {
	t, where = resource.Tree{}, "flags"
	if file != "" {
		if t, err = files.Document(file); err != nil {
			return nil, "", err
		}
		where = file
	}
	if err := SetFields(t, files, cmd, flags); err != nil {
		return nil, "", err
	}
	return t, where, nil
}

// SetFields writes the values of the flags that were given into a tree.
func SetFields(t resource.Tree, files *input.Reader, cmd *cobra.Command, flags []FieldFlag) error {
	for _, x := range flags {
		if !cmd.Flags().Changed(x.name) {
			continue
		}
		v, err := x.value(files, cmd.Flags())
		if err != nil {
			return err
		}
		resource.Set(t, x.path, v)
	}
	return nil
}
