package embed

import (
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

// errReopening says that the broker is being started again.
var errReopening = errors.New("the broker's store is being opened again")

// ErrEnded says that the broker was shut down.
var ErrEnded = errors.New("the broker was shut down")

// StoreError is the first write error that a stream keeps, that what was written could not be synced, or that JetStream does not run; nil:
// the store takes what is written.
// nats-server 2.15.2 keeps the first write error of a stream until it is started again.
func (s *Server) StoreError() error {
	ns := s.ns.Load()
	if ns == nil {
		return errReopening
	}
	if s.disk != nil && s.disk.Err() != nil {
		return s.disk.Err()
	}
	for _, x := range ns.Healthz(&server.HealthzOptions{Details: true}).Errors {
		switch x.Type {
		case server.HealthzErrorStream, server.HealthzErrorJetStream:
			return errors.New(x.Error)
		default:
		}
	}
	return nil
}

// Reopen stops the broker and starts it again on the same store and address, so that streams with a write error are written again.
// What was acknowledged is on the disk and stays. Connections are cut and come back by themselves; appliances are known as before. After
// an error there is no broker, and Reopen may be called again.
func (s *Server) Reopen() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.ended {
		return ErrEnded
	}
	if ns := s.ns.Swap(nil); ns != nil {
		s.auth.close()
		end(ns)
	}
	s.auth.forget()
	if s.disk != nil {
		if err := s.disk.reset(); err != nil {
			return fmt.Errorf("open the store in %s again: %w", s.storeDir, err)
		}
	}
	if err := s.launch(); err != nil {
		return fmt.Errorf("open the store in %s again: %w", s.storeDir, err)
	}
	if s.appliances == nil {
		return nil
	}
	hashes := make(map[string]string, len(s.appliances))
	for _, x := range s.appliances {
		hashes[x.ID] = x.PasswordBcrypt
	}
	return s.setAccounts(hashes)
}

// trial is how much Writable writes.
const trial = 1 << 20

// Writable tries whether the folder of the store takes a file of 1 MiB, and removes it.
func (s *Server) Writable() (err error) {
	f, err := os.CreateTemp(s.storeDir, "trial-*")
	if err != nil {
		return fmt.Errorf("create a file in %s: %w", s.storeDir, err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, trial)); err != nil {
		return fmt.Errorf("write a file in %s: %w", s.storeDir, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync a file in %s: %w", s.storeDir, err)
	}
	return nil
}
