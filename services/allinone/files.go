package allinone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/tlog"
	"github.com/outbound-events/outbound/services/config"
)

// The files in the data folder.
const (
	fileAdminToken   = "admin.token"
	fileServiceToken = "service.token"
	fileSealKey      = "seal.key"
	fileCheckpoint   = "checkpoint.key"
	fileEndpoints    = "endpoints.json"
	fileInventory    = "inventory.json"
	folderBroker     = "broker"
)

// Endpoints are the addresses chosen, as endpoints.json has them once the process is ready.
type Endpoints struct {
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
	NATS string `json:"nats"`
	// TLS is auto or files if all three speak it. CertFile is the certificate that they present, CAFile the local authority and
	// CAFingerprint its fingerprint.
	TLS           TLS    `json:"tls,omitempty"`
	CertFile      string `json:"certFile,omitempty"`
	CAFile        string `json:"caFile,omitempty"`
	CAFingerprint string `json:"caFingerprint,omitempty"`
}

// URL is where REST and the console are.
func (e Endpoints) URL() string {
	if e.TLS != "" {
		return "https://" + e.HTTP
	}
	return "http://" + e.HTTP
}

// secrets are the private files of the data directory.
type secrets struct {
	tokens rpc.Tokens
	sealer *secret.Sealer
	// checkpoints sign the checkpoints of the delivery log.
	checkpoints *tlog.Keys
}

// makeData makes the data folder, for its owner alone.
func makeData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data: create directory: %w", err)
	}
	return nil
}

// openSecrets reads the tokens and the key of a data folder; the first start makes them. A key that is kept elsewhere is never made.
func openSecrets(o Options) (s secrets, err error) {
	dir := o.Data
	if err := checkSecrets(dir, o.SealKey); err != nil {
		return s, err
	}
	if s.tokens.Admin, err = secret.LoadOrCreateToken(filepath.Join(dir, fileAdminToken)); err != nil {
		return s, fmt.Errorf("data: %w", err)
	}
	if s.tokens.Service, err = secret.LoadOrCreateToken(filepath.Join(dir, fileServiceToken)); err != nil {
		return s, fmt.Errorf("data: %w", err)
	}
	if s.checkpoints, err = openCheckpointKey(o); err != nil {
		return s, err
	}
	if o.SealKey != "" {
		place, err := secret.ParsePlace(o.SealKey)
		if err == nil {
			s.sealer, err = place.Load()
		}
		if err != nil {
			return s, fmt.Errorf("--seal-key %s: %w", o.SealKey, err)
		}
		return s, nil
	}
	if s.sealer, err = secret.LoadOrCreateKey(filepath.Join(dir, fileSealKey)); err != nil {
		return s, fmt.Errorf("data: %w", err)
	}
	return s, nil
}

// openCheckpointKey reads the key of checkpoints; the first start makes it, unless it is kept elsewhere.
func openCheckpointKey(o Options) (*tlog.Keys, error) {
	if o.History.CheckpointKey == "" {
		path := filepath.Join(o.Data, fileCheckpoint)
		if _, err := secret.LoadOrCreate(path, tlog.NewKey); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		o.History.CheckpointKey = secret.FilePlace(path).String()
	}
	keys, err := o.History.CheckpointKeys()
	if err != nil {
		return nil, fmt.Errorf("history.%w", err)
	}
	return keys, nil
}

// checkSecrets refuses a data folder that has been in use and lacks a secret. A new one in its place would open nothing that was sealed.
func checkSecrets(dir, sealKey string) error {
	_, err := os.Stat(filepath.Join(dir, fileInventory))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for name, cost := range map[string]string{
		fileSealKey:    "without it the secrets of recipients and of the relay cannot be read",
		fileAdminToken: "scripts and people sign in with it",
	} {
		if name == fileSealKey && sealKey != "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--data %s: %s is missing: %s: restore it from a backup, or have a new one made: outbound repair --data %s",
				dir, name, cost, dir)
		}
	}
	return nil
}

// openKeys checks that the sealing key opens what is stored. A key that this start has made is removed if it does not.
func (r *runtime) openKeys(ctx context.Context, c *config.Service) error {
	err := c.Open(ctx)
	if err == nil {
		return nil
	}
	if r.o.SealKey != "" {
		return fmt.Errorf("--seal-key %s: %w", r.o.SealKey, err)
	}
	if r.secrets.sealer.Made() {
		err = fmt.Errorf("%s was missing, and the store has secrets: %w", fileSealKey, err)
		err = errors.Join(err, os.Remove(filepath.Join(r.o.Data, fileSealKey)))
	}
	return fmt.Errorf("--data %s: %w", r.o.Data, err)
}

// removeEndpoints removes the file of a previous process, so that waiting for the file waits for this process.
func removeEndpoints(dir string) error {
	err := os.Remove(filepath.Join(dir, fileEndpoints))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

// writeEndpoints writes the file whole or not at all.
func writeEndpoints(dir string, e Endpoints) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write endpoints: %w", err)
	}
	temp := filepath.Join(dir, fileEndpoints+".new")
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write endpoints: %w", err)
	}
	if err := os.Rename(temp, filepath.Join(dir, fileEndpoints)); err != nil {
		return fmt.Errorf("write endpoints: %w", err)
	}
	return nil
}
