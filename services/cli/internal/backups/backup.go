// Package backups holds the commands `backup` and `restore`.
package backups

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus/backup"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// What --with takes. Each means both: the state of an open delivery is in the delivery log, and a log without its queues would show
// deliveries as open that never end.
const (
	withQueue   = "queue"
	withHistory = "history"
)

// BackupCommand makes the command `backup`.
func BackupCommand(env *command.Env) *cobra.Command {
	var o backupFlags
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Back up the running system to a file",
		Long: "Backup writes the configuration of the running system to a file, and with --with queue,history also the queues of all\n" +
			"recipients and the delivery log. Events are accepted and delivered meanwhile. Only admins can take backups.\n\n" +
			"Secrets are in the file as they are stored, sealed: keep a copy of the seal key elsewhere. The tokens in files, such as\n" +
			"admin.token, are not in it. `outbound restore` reads the file.",
		Example: "  outbound backup -f outbound.backup\n  outbound backup -f outbound.backup --with queue,history --force\n" +
			"  outbound backup -f - --with queue,history | ssh backup.example.com 'cat > outbound.backup'",
		Args: command.Arguments(),
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "file to write, - for standard output")
	cmd.Flags().StringSliceVar(&o.with, "with", nil, "also back up: queue, history; either includes the other")
	cmd.Flags().BoolVar(&o.force, "force", false, "overwrite the file")
	env.CompleteFlags(cmd, map[string]command.Completion{"with": command.Words(withQueue, withHistory)})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := o.check(); err != nil {
			return err
		}
		return takeBackup(ctx, env, c, o)
	})
	return cmd
}

type backupFlags struct {
	file  string
	with  []string
	force bool
}

func (o backupFlags) check() error {
	if o.file == "" {
		return exit.Usagef("backup needs --file (-f), - for standard output")
	}
	for _, w := range o.with {
		if w != withQueue && w != withHistory {
			return exit.Usagef("--with %q is not one of %s, %s", w, withQueue, withHistory)
		}
	}
	if _, err := os.Lstat(o.file); o.file != "-" && !o.force && err == nil {
		return &existsError{o.file}
	}
	return nil
}

// existsError says that a file is there.
type existsError struct{ file string }

func (e *existsError) Error() string {
	return e.file + " exists: choose another file, or overwrite it with --force"
}

// ExitCode is that of a name that is taken.
func (*existsError) ExitCode() int { return exit.CodeConflict }

// takeBackup writes the file whole or not at all.
func takeBackup(ctx context.Context, env *command.Env, c *client.Client, o backupFlags) error {
	began := time.Now()
	if o.file == "-" {
		s, err := download(ctx, env, c, request{deliveries: len(o.with) > 0, to: env.Out})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.Err, "%s written, SHA-256 %s\n", size(s.GetSizeBytes()), s.GetSha256())
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(o.file), filepath.Base(o.file)+".*.new") // for its owner alone
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() { _ = f.Close(); removeTemp(f.Name()) }()
	s, err := download(ctx, env, c, request{deliveries: len(o.with) > 0, to: f})
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if _, err := backup.Open(f.Name()); err != nil {
		return fmt.Errorf("check what was written: %w", err)
	}
	if err := place(f.Name(), o); err != nil {
		return err
	}
	return showTaken(env, o.file, s, time.Since(began))
}

func removeTemp(name string) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // it was for its owner alone, and its name says what it is
	}
}

// place gives the file its name. Without --force it replaces no other, not even one that has come meanwhile.
func place(temp string, o backupFlags) error {
	var err error
	if o.force {
		err = os.Rename(temp, o.file)
	} else if err = os.Link(temp, o.file); err != nil && !errors.Is(err, fs.ErrExist) {
		// Not every file system has hard links.
		if _, there := os.Lstat(o.file); errors.Is(there, fs.ErrNotExist) {
			err = os.Rename(temp, o.file)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return &existsError{o.file}
	}
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	dir, err := os.Open(filepath.Dir(o.file))
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

type request struct {
	deliveries bool
	to         io.Writer
}

// received is the file as it comes.
type received struct {
	to      io.Writer
	sum     hash.Hash
	size    int64
	summary *outboundv1.BackupSummary
}

func (r *received) add(m *outboundv1.DownloadBackupResponse) error {
	if m.GetSummary() != nil {
		r.summary = m.GetSummary()
	}
	_, _ = r.sum.Write(m.GetData())
	r.size += int64(len(m.GetData()))
	if _, err := r.to.Write(m.GetData()); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

// download writes a backup to a writer and compares what came with what the server says it sent.
func download(ctx context.Context, env *command.Env, c *client.Client, q request) (*outboundv1.BackupSummary, error) {
	bar := env.Progress()
	defer bar.End()
	r := &received{to: q.to, sum: sha256.New()}
	path := "/v1/backup"
	if q.deliveries {
		path += "?deliveries=true"
	}
	err := c.Read(ctx, client.Subscription{
		Path: path,
		Next: func() proto.Message { return &outboundv1.DownloadBackupResponse{} },
		Each: func(m proto.Message) error {
			piece, ok := m.(*outboundv1.DownloadBackupResponse)
			if !ok {
				return fmt.Errorf("decode a line of the stream: not a piece of a backup: %T", m)
			}
			bar.Show("%s: %s in the store, %s written", piece.GetPart(), size(piece.GetPartBytes()), size(r.size))
			return r.add(piece)
		},
	})
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("interrupted: no backup was written")
	case err != nil:
		return nil, err
	case r.summary == nil:
		return nil, errors.New("the server ended the stream before the backup was complete: see its log, and try again")
	case r.size != r.summary.GetSizeBytes() || hex.EncodeToString(r.sum.Sum(nil)) != r.summary.GetSha256():
		return nil, fmt.Errorf("%d bytes came, the server sent %d with the SHA-256 %s: the stream was changed on its way", r.size,
			r.summary.GetSizeBytes(), r.summary.GetSha256())
	}
	return r.summary, nil
}

// size is a number of bytes in words.
func size(n int64) string { return output.Size(uint64(max(0, n))) }

// showTaken prints what was written.
func showTaken(env *command.Env, file string, s *outboundv1.BackupSummary, took time.Duration) error {
	if env.Structured() {
		raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(s)
		if err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		doc := map[string]any{}
		if err := json.Unmarshal(raw, &doc); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		doc["file"], doc["seconds"] = file, took.Seconds()
		if raw, err = json.Marshal(doc); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return env.ShowJSON(raw)
	}
	t := &output.Table{Head: []string{"PART", "MESSAGES", "IN THE STORE", "IN THE FILE"}}
	for _, p := range s.GetParts() {
		t.Add(p.GetName(), fmt.Sprint(p.GetMessages()), size(p.GetBytes()), size(p.GetFileBytes()))
	}
	if err := env.Print(t); err != nil {
		return err
	}
	env.Say("%s written in %s: %s", file, took.Round(10*time.Millisecond), size(s.GetSizeBytes()))
	if len(s.GetSealed()) > 0 {
		of := slices.Sorted(slices.Values(s.GetSealed()))
		env.Say("Secrets are sealed: keep the seal key elsewhere. They are of %s.", strings.Join(of, ", "))
	}
	return nil
}
