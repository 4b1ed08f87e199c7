package cli

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
)

func printError(w io.Writer, err error) {
	if err.Error() == "" {
		return
	}
	_, _ = fmt.Fprintln(w, "outbound:", clean(err.Error()))
	var many *faultyError
	if errors.As(err, &many) {
		for _, line := range many.lines {
			_, _ = fmt.Fprintln(w, " ", clean(line))
		}
	}
	var refused *apiError
	if errors.As(err, &refused) && refused.code == codes.InvalidArgument {
		for _, v := range refused.violations {
			_, _ = fmt.Fprintf(w, "  %s: %s\n", clean(v.Field), clean(v.Description))
		}
	}
}
