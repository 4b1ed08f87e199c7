package backups

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// showContents prints what is in a backup, and what a restore would meet.
func showContents(env *command.Env, f *backup.File, at found) error {
	if env.Structured() {
		doc := map[string]any{"file": f.Path, "sizeBytes": f.Size, "createTime": f.CreateTime, "version": f.Version, "deliveries": f.Deliveries,
			"eventsSequence": f.EventsSequence, "parts": f.Parts, "sealed": f.Sealed}
		if at.target != "" {
			doc["target"], doc["empty"], doc["replaced"], doc["sealKeyFits"] = at.target, at.there.Empty(), at.there.String(), at.key == nil
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return env.ShowJSON(raw)
	}
	table := &output.Table{Head: []string{"PART", "MESSAGES", "CONSUMERS", "IN THE STORE", "IN THE FILE"}}
	for _, p := range f.Parts {
		table.Add(p.Name, fmt.Sprint(p.Messages), fmt.Sprint(p.Consumers), output.Size(p.Bytes), size(p.FileBytes))
	}
	if err := env.Print(table); err != nil {
		return err
	}
	env.Say("%s: %s, taken %s by version %s; its checksums are right", f.Path, size(f.Size), f.CreateTime.Format(time.RFC3339), f.Version)
	if len(f.Sealed) > 0 {
		env.Say("It has sealed secrets of %s.", strings.Join(f.Sealed, ", "))
	}
	if at.target == "" {
		return nil
	}
	switch {
	case at.there.Unfinished != "":
		env.Say("%s holds a restore of %s that has not finished.", at.target, at.there.Unfinished)
	case at.there.Empty():
		env.Say("%s is empty.", at.target)
	default:
		env.Say("%s has %s, which a restore with --force replaces.", at.target, at.there)
	}
	if at.key != nil {
		env.Say("%s.", at.key)
	}
	env.Say("Nothing was changed.")
	return nil
}
