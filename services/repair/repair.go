// Package repair makes a damaged store usable, at a broker that runs or in a data folder that no process uses, and tells what was lost.
package repair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"google.golang.org/protobuf/proto"
)

// Options say which store.
type Options struct {
	// Data is the data folder of the all-in-one; empty: the broker that NATS names.
	Data string
	NATS bus.Options
	// JetStreamKey is where the key is kept that the store in the data folder is encrypted with; empty: it is not.
	JetStreamKey string
	// Streams are the bounds of streams that are made again.
	Streams bus.StreamOptions
	// Logger takes what the broker and the connection to it say. Nil: nothing is logged.
	Logger *slog.Logger
}

// The files in the data folder that a repair knows.
const (
	folderBroker  = "broker"
	fileInventory = "inventory.json"
	fileSealKey   = "seal.key"
)

// Store is a store that is looked at or repaired. Close it.
type Store struct {
	o      Options
	found  []storecheck.Finding
	faults []storefile.Fault
	// secrets are the files with secrets that are missing in the data folder.
	secrets []string
	// key is what the store is encrypted with.
	key    string
	server *embed.Server
	conn   *bus.Conn
	// opened says that the broker was asked already.
	opened bool
	aside  string
}

// Open finds out what the store has lost. In a data folder the files are read first; a broker is started on it only if they are whole,
// because it would change what is damaged.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{o: o}
	if o.Data != "" {
		var err error
		if s.key, err = secret.BrokerKey(o.JetStreamKey); err != nil {
			return nil, fmt.Errorf("--jetstream-key: %w", err)
		}
		if err := s.readFiles(ctx); err != nil {
			return nil, err
		}
		if len(s.found) > 0 || len(s.faults) > 0 {
			return s, nil
		}
	}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the connection, and the broker if it was started here.
func (s *Store) Close() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
	}
}

func (s *Store) keeper() storecheck.Keeper {
	if s.o.Data != "" {
		return storecheck.File{Path: filepath.Join(s.o.Data, fileInventory)}
	}
	return storecheck.Bucket{Conn: s.conn}
}

// store is the broker's folder.
func (s *Store) store() embed.Store {
	return embed.Store{Dir: filepath.Join(s.o.Data, folderBroker), Key: s.key}
}

func (s *Store) readFiles(ctx context.Context) error {
	if _, err := os.Stat(s.o.Data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	known, err := s.keeper().Load(ctx)
	if err != nil {
		return err
	}
	report, err := embed.InspectStore(s.store())
	if err != nil {
		return fmt.Errorf("--data %s: %w", s.o.Data, err)
	}
	s.found, _ = storecheck.Files(report, known)
	s.faults = report.Faults
	if known != nil {
		for _, name := range []string{fileSealKey, "admin.token"} {
			if _, err := os.Stat(filepath.Join(s.o.Data, name)); err != nil {
				s.secrets = append(s.secrets, name)
			}
		}
	}
	return nil
}

// open connects to the broker and has it tell what is missing.
func (s *Store) open(ctx context.Context) (err error) {
	o := s.o.NATS
	if s.o.Data != "" {
		s.server, err = embed.Start(embed.Options{StoreDir: s.store().Dir, Key: s.key, Host: "127.0.0.1", Port: -1, SyncAlways: true,
			Logger: s.o.Logger})
		if err != nil {
			return fmt.Errorf("--data %s: %w", s.o.Data, err)
		}
		o = bus.Options{User: embed.CoreUser, Password: s.server.CorePassword(), InProcess: s.server}
	}
	o.Name, o.Logger = "outbound repair", s.o.Logger
	if s.conn, err = bus.Connect(ctx, o); err != nil {
		return err
	}
	known, err := s.keeper().Load(ctx)
	if err != nil {
		return err
	}
	found, err := storecheck.Check(ctx, s.conn, known)
	if err != nil {
		return err
	}
	s.found = merge(s.found, found)
	s.opened = true
	return nil
}

// merge joins what the files have shown with what the broker tells. What the broker lacks of a stream it tells more exactly.
func merge(files, broker []storecheck.Finding) []storecheck.Finding {
	out := broker
	for _, f := range files {
		same := false
		for _, b := range broker {
			same = same || b.Stream == f.Stream && (b.Missing || len(b.Lost) > 0)
		}
		if !same {
			out = append(out, f)
		}
	}
	return out
}

// Findings are what the store has lost, in words; none: nothing.
func (s *Store) Findings() (out []string) {
	for _, f := range s.found {
		out = append(out, f.Text)
	}
	for _, f := range s.faults {
		if f.Kind != storefile.Messages {
			out = append(out, fmt.Sprintf("%s: %s (repaired without a loss)", f.Path, f.Problem))
		}
	}
	for _, name := range s.secrets {
		out = append(out, name+" is missing (a new one is made; what was sealed with an old seal.key has to be entered again)")
	}
	return out
}

// Repair repairs the store and tells what was lost.
func (s *Store) Repair(ctx context.Context) (string, error) {
	if err := s.makeSecrets(); err != nil {
		return "", err
	}
	if len(s.faults) > 0 {
		aside, err := embed.MendStore(ctx, s.store(), s.faults, s.o.Streams)
		if err != nil {
			return "", err
		}
		s.aside = aside
	}
	if !s.opened {
		if err := s.open(ctx); err != nil {
			return "", err
		}
	}
	if len(s.found) == 0 {
		return "no event was lost", s.giveUpSealed(ctx)
	}
	done, err := s.repairer().Repair(ctx, s.found)
	if err != nil {
		return "", err
	}
	if s.aside != "" {
		done.Text += "; the damaged files are in " + s.aside
	}
	return done.Text, s.giveUpSealed(ctx)
}

// giveUpSealed gives up what an old key has sealed, if a new one was made.
func (s *Store) giveUpSealed(ctx context.Context) error {
	if !slices.Contains(s.secrets, fileSealKey) {
		return nil
	}
	return storecheck.GiveUpSecrets(ctx, s.conn)
}

func (s *Store) makeSecrets() error {
	var errs []error
	for _, name := range s.secrets {
		path := filepath.Join(s.o.Data, name)
		if strings.HasSuffix(name, ".key") {
			_, err := secret.LoadOrCreateKey(path)
			errs = append(errs, err)
			continue
		}
		_, err := secret.LoadOrCreateToken(path)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// GiveUpSecrets has the services start although the secrets that are stored can't be opened. They must be entered again.
func (s *Store) GiveUpSecrets(ctx context.Context) error {
	if !s.opened {
		return errors.New("repair the store first: outbound repair without --give-up-secrets")
	}
	return storecheck.GiveUpSecrets(ctx, s.conn)
}

// CancelQueue ends the queue of a recipient that was lost, and returns how many deliveries it ended.
func (s *Store) CancelQueue(ctx context.Context, id string) (int, error) {
	if !s.opened || len(s.found) > 0 {
		return 0, errors.New("repair the store first: outbound repair without --cancel-queue")
	}
	return s.repairer().CancelQueue(ctx, id)
}

// Acknowledge confirms what past repairs have told, so that it is told no longer.
func (s *Store) Acknowledge(ctx context.Context) (int, error) {
	return storecheck.Acknowledge(ctx, s.keeper())
}

func (s *Store) repairer() *storecheck.Repairer {
	return &storecheck.Repairer{Conn: s.conn, Keeper: s.keeper(), Streams: s.o.Streams, Recipients: s.recipients}
}

// prefixRecipient begins the keys of recipients.
const prefixRecipient = "r."

// recipients reads those that the bucket holds. One that cannot be decoded is left out: its queue stays.
func (s *Store) recipients(ctx context.Context) (out []*recipient.Recipient, err error) {
	b, err := s.conn.Bucket(ctx, bus.BucketRecipients)
	if err != nil {
		return nil, err
	}
	entries, err := b.All(ctx, prefixRecipient)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		var stored outboundv1.StoredRecipient
		if proto.Unmarshal(e.Value, &stored) != nil {
			continue
		}
		if r, err := configclient.DecodeRecipient(&stored, nil); err == nil {
			out = append(out, r)
		}
	}
	return out, nil
}
