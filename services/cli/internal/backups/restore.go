package backups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

type restoreFlags struct {
	file, data, options, sealKey    string
	jetStreamKey                    string
	configOnly, dryRun, force, bare bool
}

// RestoreCommand makes the command `restore`.
func RestoreCommand(env *command.Env) *cobra.Command {
	var o restoreFlags
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Restore a backup while Outbound is stopped",
		Long: "Restore replaces what is stored by what is in a backup. Stop Outbound first: with --data the command opens the data\n" +
			"directory of `outbound run` itself, with --options it uses the broker of separate services and refuses while they run.\n\n" +
			"The file is checked before anything is changed. A store that is not empty is replaced only with --force. A restore that was\n" +
			"interrupted is run again; Outbound does not start until it has succeeded.\n\n" +
			"Secrets can be opened only with the seal key of the system that was backed up.",
		Example: "  outbound restore -f outbound.backup --dry-run\n  outbound restore -f outbound.backup --data ./data --seal-key ./seal.key\n" +
			"  outbound restore -f outbound.backup --options deploy/options/config.yaml\n" +
			"  outbound restore -f outbound.backup --data ./data --config-only",
		Args: command.Arguments(),
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "file that `outbound backup` wrote")
	f.StringVar(&o.data, "data", "", "data directory of `outbound run`; created if it does not exist")
	f.StringVar(&o.options, "options", "", "options file of the config service: its broker is restored into")
	f.StringVar(&o.sealKey, "seal-key", "",
		"seal key of the system that was backed up: a file, or its place (file:, env: or exec:);\nwith --data, a file is copied to DIR/seal.key")
	f.BoolVar(&o.configOnly, "config-only", false, "restore the configuration; queues and delivery log are empty afterwards")
	f.BoolVar(&o.dryRun, "dry-run", false, "check the file and show what is in it and what would be replaced")
	f.BoolVar(&o.force, "force", false, "replace a store that is not empty")
	f.StringVar(&o.jetStreamKey, "jetstream-key", "",
		"with --data: place of the key that the files are encrypted with (file:, env: or exec:); a new data directory gets this one")
	f.BoolVar(&o.bare, "without-secrets", false, "restore although the seal key is another one; secrets must be entered again")
	env.OutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := env.CheckFormat(); err != nil {
			return err
		}
		switch {
		case o.file == "" || o.file == "-":
			return exit.Usagef("restore needs --file (-f): a backup is read twice, so it must be a file")
		case o.data != "" && o.options != "":
			return exit.Usagef("--data and --options name two stores: give one")
		case o.data == "" && o.options == "" && !o.dryRun:
			return exit.Usagef("restore needs --data DIR for outbound run, or --options FILE for separate services")
		}
		return runRestore(cmd.Context(), env, o)
	}
	return cmd
}

func runRestore(ctx context.Context, env *command.Env, o restoreFlags) error {
	file, err := backup.Open(o.file)
	if errors.Is(err, fs.ErrNotExist) {
		return exit.Usagef("%w", err)
	}
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if o.data == "" && o.options == "" {
		return showContents(env, file, found{})
	}
	if o.dryRun && o.data != "" {
		// A directory that is not there is not made to be looked at.
		if _, err := os.Stat(filepath.Join(o.data, folderBroker)); errors.Is(err, fs.ErrNotExist) {
			return showContents(env, file, found{target: o.data, key: checkKey(file, keyFile(o, filepath.Join(o.data, fileSealKey)))})
		}
	}
	t, err := open(ctx, env, o)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.unused(ctx); err != nil {
		return err
	}
	there, err := backup.Look(ctx, t.conn)
	if err != nil {
		return err
	}
	at := found{target: t.name, there: there, key: checkKey(file, keyFile(o, t.sealKey))}
	if o.dryRun {
		return showContents(env, file, at)
	}
	if err := at.allow(o); err != nil {
		return err
	}
	if there.Replicas > 0 {
		t.streams.Replicas = there.Replicas
	}
	return carryOut(ctx, env, t, job{o: o, file: file, found: at})
}

func open(ctx context.Context, env *command.Env, o restoreFlags) (*target, error) {
	if o.data != "" {
		return openData(ctx, env, o)
	}
	return openBroker(ctx, env, o.options)
}

// keyFile is the seal key that the restored system will have.
func keyFile(o restoreFlags, own string) string {
	if o.sealKey != "" {
		return o.sealKey
	}
	return own
}

// found is where a backup is restored and what is there.
type found struct {
	target string
	there  backup.Present
	// key is why the secrets can't be opened; nil: they can, or there are none.
	key error
}

// conflictError refuses to replace what is there.
type conflictError struct{ text string }

func (e *conflictError) Error() string { return e.text }

// ExitCode is that of a conflict.
func (*conflictError) ExitCode() int { return exit.CodeConflict }

// allow refuses what would lose something that nobody agreed to lose.
func (f found) allow(o restoreFlags) error {
	if !f.there.Empty() && !o.force {
		return &conflictError{fmt.Sprintf("%s is not empty: it has %s; --force replaces all of it; nothing was changed", f.target, f.there)}
	}
	if f.key != nil && !o.bare {
		return fmt.Errorf("%w; give the key of the system that was backed up with --seal-key, or restore with --without-secrets and enter "+
			"these secrets again; nothing was changed", f.key)
	}
	return nil
}

type job struct {
	o     restoreFlags
	file  *backup.File
	found found
}

func carryOut(ctx context.Context, env *command.Env, t *target, j job) error {
	if from := placeOf(j.o.sealKey).File(); j.o.data != "" && from != "" {
		if err := installKey(from, t.sealKey); err != nil {
			return err
		}
	}
	err := t.forget()
	if err == nil {
		err = t.ready()
	}
	if err != nil {
		return err
	}
	began := time.Now()
	bar := env.Progress()
	r, err := backup.Restore(ctx, t.conn, j.file, backup.RestoreOptions{Inventory: t.keeper(),
		Streams: t.streams, ConfigurationOnly: j.o.configOnly, Actor: actor(), Synced: t.synced,
		Progress: func(p backup.Part, done int64) { bar.Show("%s: %s of %s", p.Name, size(done), size(p.FileBytes)) },
	})
	bar.End()
	if err != nil {
		return fmt.Errorf("%w; the store is incomplete and Outbound does not start on it: run the command again", err)
	}
	if len(missing(j)) > 0 {
		if err := storecheck.GiveUpSecrets(ctx, t.conn); err != nil {
			return err
		}
	}
	return showRestored(env, t, j, r, time.Since(began))
}

// actor is who restores, as revisions name it.
func actor() string {
	name := "outbound restore"
	if u, err := user.Current(); err == nil {
		name += " by " + u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	return name
}

// rebuildWithin is how long the broker knows message ids by itself.
const rebuildWithin = 10 * time.Minute

func showRestored(env *command.Env, t *target, j job, r backup.Result, took time.Duration) error {
	again := t.external && j.file.Deliveries && time.Since(j.file.CreateTime) < rebuildWithin
	if env.Structured() {
		raw, err := json.Marshal(map[string]any{"file": j.o.file, "target": t.name, "createTime": j.file.CreateTime, "parts": r.Parts,
			"removedRecords": r.RemovedRecords, "seconds": took.Seconds(), "replaced": j.found.there.String(), "secretsMissing": missing(j)})
		if err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return env.ShowJSON(raw)
	}
	table := &output.Table{Head: []string{"PART", "MESSAGES", "IN THE STORE"}}
	for _, p := range r.Parts {
		table.Add(p.Name, fmt.Sprint(p.Messages), output.Size(p.Bytes))
	}
	if err := env.Print(table); err != nil {
		return err
	}
	if r.RemovedRecords > 0 {
		env.Say("%d records were left out: their events were accepted after the queues were read", r.RemovedRecords)
	}
	env.Say("restored into %s in %s, as of %s", t.name, took.Round(10*time.Millisecond), j.file.CreateTime.Format(time.RFC3339))
	if m := missing(j); len(m) > 0 {
		env.Say("Enter the secrets again of %s.", strings.Join(m, ", "))
	}
	if again {
		env.Say("Restart nats-server before the services: until then it takes a repeated event of the last minutes for a new one.")
	}
	env.Say("Start Outbound now.")
	return nil
}

// missing names what has secrets that can't be opened.
func missing(j job) []string {
	if j.found.key == nil {
		return []string{}
	}
	return j.file.Sealed
}
