// Package audits holds the command `audit`.
package audits

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/audit"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Command makes the command `audit`.
func Command(env *command.Env) *cobra.Command {
	c := command.Group("audit", "Show, export and verify the audit log", listCommand(env), exportCommand(env), verifyCommand(env))
	c.Long = "Show, export and verify the audit log: who did what, from where, and with which outcome. Only admins can read it.\n\n" +
		"Each entry holds the hash of the one before. `audit verify` names entries that were removed, changed, inserted or moved."
	return c
}

// filter is which entries.
type filter struct{ since, until, actor, action, object, outcome, address string }

func (f *filter) define(env *command.Env, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.since, "since", "", "only from this time on: RFC 3339, or a duration before now, e.g. 24h")
	cmd.Flags().StringVar(&f.until, "until", "", "only before this time: RFC 3339, or a duration before now")
	cmd.Flags().StringVar(&f.actor, "actor", "", "only of this actor: a user's name, `\"token ID\"`, admin or outbound")
	cmd.Flags().StringVar(&f.action, "action", "", "only this action, e.g. recipient.update, or all that begin with it, e.g. recipient")
	cmd.Flags().StringVar(&f.object, "object", "", "only of this object, e.g. recipients/crm, or of all of its kind, e.g. recipients")
	cmd.Flags().StringVar(&f.outcome, "outcome", "", "only with this outcome: ok, denied, refused, failed")
	cmd.Flags().StringVar(&f.address, "address", "", "only from this address")
	env.CompleteFlags(cmd, map[string]command.Completion{"outcome": command.Words("ok", "denied", "refused", "failed")})
}

// query is the filter as query parameters, each below a prefix.
func (f *filter) query(prefix string) (url.Values, error) {
	out := url.Values{}
	for name, value := range map[string]string{"since": f.since, "until": f.until} {
		t, err := command.Moment("--"+name, value, time.Now())
		if err != nil {
			return nil, err
		}
		if t != "" {
			out.Set(prefix+name, t)
		}
	}
	for name, value := range map[string]string{"actor": f.actor, "action": f.action, "object": f.object,
		"outcome": strings.ToUpper(f.outcome), "address": f.address} {
		if value != "" {
			out.Set(prefix+name, value)
		}
	}
	return out, nil
}

func listCommand(env *command.Env) *cobra.Command {
	var f filter
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List audit entries, newest first", Args: command.Arguments(),
		Example: "  outbound audit list --since 24h\n  outbound audit list --action session --outcome denied -o json",
	}
	f.define(env, cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "maximum number to list")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		query, err := f.query("")
		if err != nil {
			return err
		}
		all := &outboundv1.ListAuditEntriesResponse{}
		err = client.EachPage(limit, func(size int, token string) (int, string, error) {
			page := &outboundv1.ListAuditEntriesResponse{}
			err := c.Call(ctx, http.MethodGet, "/v1/audit?"+client.PageQuery(query, size, token), nil, page)
			all.Entries = append(all.Entries, page.GetEntries()...)
			return len(page.GetEntries()), page.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		return env.Show(all, func() *output.Table { return table(all.GetEntries()) })
	})
	return cmd
}

func table(list []*outboundv1.AuditEntry) *output.Table {
	t := &output.Table{Head: []string{"NUMBER", "TIME", "ACTOR", "ACTION", "OBJECT", "OUTCOME", "ADDRESS", "VIA", "CHANGED"}}
	for _, e := range list {
		var paths []string
		for _, c := range e.GetChanges() {
			paths = append(paths, c.GetPath())
		}
		what := strings.Join(paths, ", ")
		if what == "" {
			what = e.GetReason()
		}
		t.Add(fmt.Sprint(e.GetNumber()), output.Clock(e.GetTime()), output.Dash(e.GetActor()), e.GetAction(), output.Dash(e.GetObject()),
			e.GetOutcome(), output.Dash(e.GetAddress()), output.Dash(e.GetVia()), output.Dash(output.Short(what)))
	}
	return t
}

// line is a line of an export: an entry as it is hashed, or the end.
type line struct {
	Hash     string          `json:"hash,omitempty"`
	Sequence uint64          `json:"sequence,omitempty"`
	Entry    json.RawMessage `json:"entry,omitempty"`
	End      *end            `json:"end,omitempty"`
}

// end is what is known of the log beside its entries.
type end struct {
	NotedNumber uint64    `json:"notedNumber,omitempty"`
	NotedHash   string    `json:"notedHash,omitempty"`
	Sequence    uint64    `json:"sequence"`
	KeptSeconds uint64    `json:"keptSeconds"`
	Time        time.Time `json:"time"`
	// Filtered says that not all entries are there, so that they can't be verified.
	Filtered bool `json:"filtered,omitempty"`
}

func (e end) audit() audit.End {
	out := audit.End{Sequences: e.Sequence, Kept: time.Duration(e.KeptSeconds) * time.Second, Now: e.Time}
	if e.NotedNumber > 0 {
		out.Head = &audit.Head{Number: e.NotedNumber, Hash: e.NotedHash}
	}
	return out
}

var errCutOff = errors.New("the export ended early: run the command again")

// read reads entries, oldest first, and the end.
func read(ctx context.Context, c *client.Client, query url.Values, each func(line) error) error {
	complete := false
	path := "/v1/audit:export"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	err := c.Read(ctx, client.Subscription{
		Path: path,
		Next: func() proto.Message { return &outboundv1.ExportAuditResponse{} },
		Each: func(m proto.Message) error {
			x, _ := m.(*outboundv1.ExportAuditResponse)
			if e := x.GetEnd(); e != nil {
				complete = true
				return each(line{End: &end{NotedNumber: e.GetNotedNumber(), NotedHash: e.GetNotedHash(), Sequence: e.GetLastSequence(),
					KeptSeconds: e.GetKeptSeconds(), Time: e.GetTime().AsTime(), Filtered: len(query) > 0}})
			}
			return each(line{Hash: x.GetHash(), Sequence: x.GetSequence(), Entry: json.RawMessage(x.GetEntry())})
		},
	})
	if err == nil && !complete {
		err = errCutOff
	}
	return err
}

func exportCommand(env *command.Env) *cobra.Command {
	var f filter
	var file string
	cmd := &cobra.Command{
		Use: "export", Short: "Export the audit log, oldest first", Args: command.Arguments(),
		Long: "Export writes the audit log as JSON, a line for each entry with its hash, oldest first. Without filters `outbound audit verify\n" +
			"--file` verifies what was written, also after the log has removed it by age.",
		Example: "  outbound audit export -f audit.ndjson\n  outbound audit export --since 720h --actor olga -f -",
	}
	f.define(env, cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "-", "file to write, - for standard output")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) (err error) {
		query, err := f.query("filter.")
		if err != nil {
			return err
		}
		to := env.Out
		if file != "-" {
			w, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("write the export: %w: choose another file", err)
			}
			defer func() { err = errors.Join(err, w.Close()) }()
			to = w
		}
		out := bufio.NewWriter(to)
		err = read(ctx, c, query, func(l line) error {
			raw, err := json.Marshal(l)
			if err == nil {
				_, err = out.Write(append(raw, '\n'))
			}
			return err
		})
		return errors.Join(err, out.Flush())
	})
	return cmd
}

// maxLine bounds a line of an export, in bytes.
const maxLine = 1 << 20

func verifyCommand(env *command.Env) *cobra.Command {
	var file, head string
	cmd := &cobra.Command{
		Use: "verify", Short: "Verify that no audit entry was removed or changed", Args: command.Arguments(),
		Long: "Verify reads all entries and compares their hashes. It names each entry that was removed, changed, inserted or moved, and ends\n" +
			"with exit code 1 then. It shows the hash of the last entry: with --head NUMBER:HASH a later run tells whether that entry, and\n" +
			"all before it, are still what they were.",
		Example: "  outbound audit verify\n  outbound audit verify --file audit.ndjson",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "verify an export instead of the log")
	cmd.Flags().StringVar(&head, "head", "", "an entry that was noted before, as NUMBER:HASH")
	online := env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		return verify(env, head, func(each func(line) error) error { return read(ctx, c, nil, each) })
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return online(cmd, args)
		}
		return verify(env, head, func(each func(line) error) error { return readFile(file, each) })
	}
	return cmd
}

// readFile reads an export.
func readFile(name string, each func(line) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := uint64(1); lines.Scan(); n++ {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			// What can't be read is an entry that was changed.
			l = line{Entry: bytes.Clone(lines.Bytes())}
		}
		if l.Sequence == 0 {
			l.Sequence = n
		}
		if err := each(l); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	return nil
}

// verify compares the entries that a reader gives.
func verify(env *command.Env, head string, read func(each func(line) error) error) error {
	if err := env.CheckFormat(); err != nil {
		return err
	}
	v := audit.NewVerifier()
	var last *end
	err := read(func(l line) error {
		if l.End != nil {
			last = l.End
			return nil
		}
		v.Next(l.Entry, l.Hash, l.Sequence)
		return nil
	})
	switch {
	case err != nil:
		return err
	case last == nil:
		return errors.New("the export has no end: it was cut off, or is not an export of the audit log. Export it again")
	case last.Filtered:
		return exit.Usagef("the export was made with filters, so that entries are missing: export it without")
	}
	known := last.audit()
	if head != "" {
		var h audit.Head
		number, hash, ok := strings.Cut(head, ":")
		if _, err := fmt.Sscan(number, &h.Number); err != nil || !ok || h.Number == 0 {
			return exit.Usagef("--head %q is not NUMBER:HASH", head)
		}
		h.Hash = hash
		known.Head = &h
	}
	return show(env, v.End(known))
}

// errBroken is the error of a log with faults.
type errBroken int

// Error says how many there are.
func (e errBroken) Error() string {
	return fmt.Sprintf("the audit log has faults (%d): entries were removed, changed, inserted or moved", int(e))
}

func show(env *command.Env, r audit.Result) error {
	if env.Structured() {
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := env.ShowJSON(raw); err != nil {
			return err
		}
	} else {
		for _, f := range r.Faults {
			if _, err := fmt.Fprintf(env.Out, "%-9s %d: %s\n", f.Kind, f.Number, f.Text); err != nil {
				return err
			}
		}
		if r.Entries > 0 {
			env.Say("%d entries, %d to %d; head %d:%s", r.Entries, r.First, r.Last, r.Last, r.Hash)
		} else {
			env.Say("the audit log is empty")
		}
	}
	if len(r.Faults) > 0 {
		return errBroken(len(r.Faults))
	}
	if !env.Structured() {
		env.Say("no entry was removed or changed")
	}
	return nil
}
