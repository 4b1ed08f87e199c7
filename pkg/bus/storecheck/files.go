package storecheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
)

// Files judges what the files of a store show before a broker runs on them: what has been lost, and which faults can be mended without a
// loss.
func Files(r storefile.Report, known *Inventory) (lost []Finding, mendable []storefile.Fault) {
	for _, name := range missingFolders(r.Streams, known) {
		f := Finding{Stream: name, Text: title(name) + " is missing", Missing: true}
		if known != nil && known.Streams[name].Messages > 0 {
			was := known.Streams[name]
			f.Text += fmt.Sprintf(" (it held %d messages, %d to %d)", was.Messages, was.First, was.Last)
			f.Lost = []Range{{First: max(was.First, 1), Last: was.Last}}
		}
		lost = append(lost, f)
	}
	for _, f := range r.Faults {
		if f.Kind != storefile.Messages {
			mendable = append(mendable, f)
			continue
		}
		x := Finding{Stream: f.Stream, Lost: f.Lost, Text: fmt.Sprintf("%s is damaged in %s: %s", title(f.Stream), f.Path, f.Problem)}
		if len(f.Lost) > 0 {
			texts := make([]string, 0, len(f.Lost))
			for _, l := range f.Lost {
				texts = append(texts, l.String())
			}
			x.Text += " (" + strings.Join(texts, ", ") + ")"
		}
		lost = append(lost, x)
	}
	return lost, mendable
}

// missingFolders are the streams that had been made and have no folder. EVENTS is made last.
func missingFolders(have []string, known *Inventory) (out []string) {
	for _, name := range wire.StreamNames() {
		made := slices.Contains(have, names.StreamEvents) && !names.LaterStream(name)
		if known != nil {
			_, made = known.Streams[name]
		}
		if made && !slices.Contains(have, name) {
			out = append(out, name)
		}
	}
	return out
}

// Mended tells of faults that were mended without a loss.
func Mended(faults []storefile.Fault, aside string) string {
	var parts []string
	for _, f := range faults {
		if f.Kind == storefile.Consumer {
			parts = append(parts, fmt.Sprintf("the queue of %s, which is built again from %s and the log", f.Consumer, f.Stream))
			continue
		}
		parts = append(parts, "the settings of "+title(f.Stream))
	}
	return "Damaged files of the store were repaired at the start, and no event was lost: " + strings.Join(parts, "; ") +
		". The damaged files are in " + aside + "."
}
