package output

import (
	"errors"
	"fmt"
	"io"
)

// PrintError prints an error in a line, and below it the lines of one that has a method Lines() []string. An empty error prints nothing.
func PrintError(w io.Writer, err error) {
	if err.Error() == "" {
		return
	}
	_, _ = fmt.Fprintln(w, "outbound:", Clean(err.Error()))
	var many interface{ Lines() []string }
	if errors.As(err, &many) {
		for _, line := range many.Lines() {
			_, _ = fmt.Fprintln(w, " ", Clean(line))
		}
	}
}
