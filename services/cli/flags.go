package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
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
	// flagFile is the text of a file.
	flagFile
	// flagSecret is the text of a file without its line's end.
	flagSecret
)

// fieldFlag is a flag that sets one field of a resource.
type fieldFlag struct {
	flag, path string
	kind       flagKind
	help       string
}

func defineFlag(cmd *cobra.Command, name string, kind flagKind, help string) {
	f := cmd.Flags()
	switch kind {
	case flagBool:
		f.Bool(name, false, help)
	case flagInt:
		f.Int(name, 0, help)
	case flagFloat:
		f.Float64(name, 0, help)
	case flagList:
		f.StringSlice(name, nil, help)
	case flagDuration:
		f.Duration(name, 0, help)
	default:
		f.String(name, "", help)
	}
}

func flagValue(files *reader, cmd *cobra.Command, name string, kind flagKind) (any, error) {
	f := cmd.Flags()
	switch kind {
	case flagText:
		return f.GetString(name)
	case flagWord:
		v, err := f.GetString(name)
		return strings.ToUpper(strings.ReplaceAll(v, "-", "_")), err
	case flagBool:
		return f.GetBool(name)
	case flagInt:
		return f.GetInt(name)
	case flagFloat:
		return f.GetFloat64(name)
	case flagList:
		return f.GetStringSlice(name)
	case flagDuration:
		d, err := f.GetDuration(name)
		return seconds(d), err
	case flagFile, flagSecret:
		path, err := f.GetString(name)
		if err != nil {
			return nil, err
		}
		if kind == flagSecret {
			return files.readSecret(path)
		}
		b, err := files.read(path)
		return string(b), err
	default:
		return nil, fmt.Errorf("flag --%s is of an unknown kind %d", name, kind)
	}
}

// flagTree joins a file, if one is named, and the flags that were given. Where names their source for errors.
func flagTree(files *reader, cmd *cobra.Command, file string, flags []fieldFlag) (t tree, where string, err error) {
	t, where = tree{}, "flags"
	if file != "" {
		if t, err = files.document(file); err != nil {
			return nil, "", err
		}
		where = file
	}
	for _, x := range flags {
		if !cmd.Flags().Changed(x.flag) {
			continue
		}
		v, err := flagValue(files, cmd, x.flag, x.kind)
		if err != nil {
			return nil, "", err
		}
		set(t, x.path, v)
	}
	return t, where, nil
}
