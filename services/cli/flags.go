package cli

import (
	"strconv"
	"strings"
	"time"

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
	flagList
	flagDuration
	// flagFile is the text of a file.
	flagFile
	// flagSecret is the text of a file without its line's end.
	flagSecret
)

func defineFlag(cmd *cobra.Command, name string, kind flagKind, help string) {
	f := cmd.Flags()
	switch kind {
	case flagBool:
		f.Bool(name, false, help)
	case flagInt:
		f.Int(name, 0, help)
	case flagList:
		f.StringSlice(name, nil, help)
	case flagDuration:
		f.Duration(name, 0, help)
	default:
		f.String(name, "", help)
	}
}

func flagValue(a *app, cmd *cobra.Command, name string, kind flagKind) (any, error) {
	f := cmd.Flags()
	switch kind {
	case flagBool:
		return f.GetBool(name)
	case flagInt:
		return f.GetInt(name)
	case flagList:
		return f.GetStringSlice(name)
	case flagDuration:
		d, err := f.GetDuration(name)
		return seconds(d), err
	}
	v, err := f.GetString(name)
	if err != nil {
		return nil, err
	}
	switch kind {
	case flagWord:
		return strings.ToUpper(strings.ReplaceAll(v, "-", "_")), nil
	case flagFile:
		b, err := readInput(v, a.In)
		return string(b), err
	case flagSecret:
		return readSecretFile(v, a.In)
	default:
		return v, nil
	}
}

// set puts a value at a path, making the trees between.
func set(t tree, path string, value any) {
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		inner, ok := t[step].(tree)
		if !ok {
			inner = tree{}
			t[step] = inner
		}
		t = inner
	}
	t[steps[len(steps)-1]] = value
}

// seconds writes a duration as the REST surface does.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
