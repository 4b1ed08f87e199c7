package backups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// The files of a data directory, as `outbound run` names them.
const (
	folderBroker = "broker"
	fileSealKey  = "seal.key"
	// fileInventory says what the store held, which is another one after a restore.
	fileInventory = "inventory.json"
	// fileAdminToken is what people and scripts sign in with.
	fileAdminToken = "admin.token"
)

// target is a broker that a backup is restored into, while nobody else uses it.
type target struct {
	// name is what people call it: the data directory or the broker's address.
	name string
	conn *bus.Conn
	// streams are the bounds of streams that the backup does not have.
	streams bus.StreamOptions
	// sealKey is where the key of the restored system is; empty: it is not known.
	sealKey string
	// external says that the broker runs on its own.
	external bool
	// inventory is the file that says what the store held; empty: there is none.
	inventory string
	// synced waits until all that was stored is on the disk. Nil: the broker sees to it.
	synced func() error
	close  []func()
}

func (t *target) Close() {
	for i := len(t.close) - 1; i >= 0; i-- {
		t.close[i]()
	}
}

// keeper is where the services look up what the store held.
func (t *target) keeper() storecheck.Keeper {
	if t.inventory == "" {
		return storecheck.Bucket{Conn: t.conn}
	}
	return storecheck.File{Path: t.inventory}
}

// forget removes what is known of the store that is replaced.
func (t *target) forget() error {
	if t.inventory == "" {
		return nil
	}
	if err := os.Remove(t.inventory); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what is known of the old store: %w", err)
	}
	return nil
}

// ready makes what a server asks of a data directory that has been in use: the admin's token, which is in no backup. The first start makes
// the rest.
func (t *target) ready() error {
	if t.inventory == "" {
		return nil
	}
	_, err := secret.LoadOrCreateToken(filepath.Join(t.name, fileAdminToken))
	return err
}

// openData starts the embedded broker of a data directory alone.
func openData(ctx context.Context, env *command.Env, o restoreFlags) (*target, error) {
	dir := o.data
	key, err := secret.BrokerKey(o.jetStreamKey)
	if err != nil {
		return nil, fmt.Errorf("--jetstream-key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	store := filepath.Join(dir, folderBroker)
	log := slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	// What is restored is synced once, at the end.
	srv, err := embed.Start(embed.Options{StoreDir: store, Key: key, Host: "127.0.0.1", Logger: log})
	if err != nil {
		return nil, fmt.Errorf("--data %s: %w", dir, err)
	}
	t := &target{
		name: dir, streams: bus.DefaultStreamOptions(), sealKey: filepath.Join(dir, fileSealKey),
		inventory: filepath.Join(dir, fileInventory),
		synced:    func() error { return syncTree(store) },
		// After its last write, the removal of the mark included.
		close: []func(){func() { _ = syncTree(store) }, srv.Shutdown},
	}
	t.conn, err = bus.Connect(ctx, bus.Options{Name: "outbound restore", User: embed.CoreUser, Password: srv.CorePassword(), InProcess: srv,
		Logger: log})
	if err != nil {
		t.Close()
		return nil, err
	}
	t.close = append(t.close, t.conn.Close)
	return t, nil
}

// syncTree has every file and directory on the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the broker replaces files
		}
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
		defer func() { _ = f.Close() }()
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
		return nil
	})
}

// brokerOptions are what the restore reads of the options of the config service.
type brokerOptions struct {
	NATS        bus.Options       `yaml:"nats"`
	Streams     bus.StreamOptions `yaml:"streams"`
	SealKeyFile string            `yaml:"sealKeyFile"`
	SealKey     string            `yaml:"sealKey"`
}

// brokerVariables are the variables of the environment that go over these options.
func brokerVariables() []string {
	return []string{"OUTBOUND_NATS_URL", "OUTBOUND_NATS_USER", "OUTBOUND_NATS_PASSWORD_FILE", "OUTBOUND_NATS_CREDS_FILE",
		"OUTBOUND_NATS_CA_FILE", "OUTBOUND_NATS_CERT_FILE", "OUTBOUND_NATS_KEY_FILE",
		"OUTBOUND_STREAMS_REPLICAS", "OUTBOUND_SEAL_KEY_FILE", "OUTBOUND_SEAL_KEY"}
}

func readOptions(env *command.Env, file string) (brokerOptions, error) {
	o := brokerOptions{NATS: bus.Options{URL: "nats://127.0.0.1:4222"}, Streams: bus.DefaultStreamOptions()}
	raw, err := os.ReadFile(file)
	if err != nil {
		return o, exit.Usagef("--options: %w", err)
	}
	if err := yaml.Unmarshal(raw, &o); err != nil {
		return o, exit.Usagef("--options %s: %w", file, err)
	}
	var vars []string
	for _, name := range brokerVariables() {
		if v := env.Files.Getenv(name); v != "" {
			vars = append(vars, name+"="+v)
		}
	}
	if err := process.Load(&o, process.Source{Env: vars}); err != nil {
		return o, exit.Usagef("%w", err)
	}
	return o, nil
}

const (
	// connectWait is how long a broker is waited for.
	connectWait = 15 * time.Second
	// pingWait is how long running services may take to answer.
	pingWait = 2 * time.Second
)

// openBroker connects to the broker that the options of the config service name.
func openBroker(ctx context.Context, env *command.Env, file string) (*target, error) {
	o, err := readOptions(env, file)
	if err != nil {
		return nil, err
	}
	o.NATS.Name, o.NATS.Logger = "outbound restore", slog.New(slog.NewTextHandler(env.Err, nil))
	waiting, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	c, err := bus.Connect(waiting, o.NATS)
	if err != nil {
		return nil, err
	}
	return &target{name: o.NATS.URL, conn: c, streams: o.Streams, sealKey: cmp.Or(o.SealKeyFile, o.SealKey), external: true,
		close: []func(){c.Close}}, nil
}

// unused reports who uses the broker.
func (t *target) unused(ctx context.Context) error {
	if !t.external {
		return nil // its directory is locked
	}
	here, err := control.New(t.conn).Ping(ctx, pingWait)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range here {
		names = append(names, fmt.Sprintf("%s on %s (process %d)", p.Name, p.Host, p.PID))
	}
	if len(names) > 0 {
		return fmt.Errorf("services use the broker: stop them first: %s; nothing was changed", strings.Join(names, ", "))
	}
	return nil
}
