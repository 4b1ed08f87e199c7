package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// The variables that stand in for --ca-file and --ca-fingerprint.
const (
	CAFileVariable        = "OUTBOUND_CA_FILE"
	CAFingerprintVariable = "OUTBOUND_CA_FINGERPRINT"
)

// folderPKI is where `outbound run` keeps its local authority, in its data folder.
const folderPKI = "pki"

// TLS says how the server at base is verified: by --ca-fingerprint, --ca-file, what the data folder knows, the environment; nil: by the
// system's roots.
func (s *Source) TLS(base string) (*tls.Config, error) {
	switch {
	case s.CAFingerprint != "":
		return pinned(base, "--ca-fingerprint", s.CAFingerprint)
	case s.CAFile != "":
		return trusting("--ca-file", s.CAFile)
	case s.Data != "" && s.URL == "":
		if c, err := ofData(s.Data); c != nil || err != nil {
			return c, err
		}
	}
	if text := s.Files.Getenv(CAFingerprintVariable); text != "" {
		return pinned(base, CAFingerprintVariable, text)
	}
	if file := s.Files.Getenv(CAFileVariable); file != "" {
		return trusting(CAFileVariable, file)
	}
	return nil, nil //nolint:nilnil // nothing is said
}

func pinned(base, from, text string) (*tls.Config, error) {
	pin, err := pki.ParsePin(text)
	if err != nil {
		return nil, exit.Usagef("%s: %w", from, err)
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, exit.Usagef("%q is not a valid address: %w", base, err)
	}
	return pin.Client(u.Hostname()), nil
}

func trusting(from, file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, exit.Usagef("%s: %w", from, err)
	}
	pool, err := certificate.Pool(string(text))
	if err != nil {
		return nil, exit.Usagef("%s: %s %w", from, file, err)
	}
	return pki.Trusting(pool), nil
}

// ofData is how the server of a data folder is verified; nil: it speaks no TLS.
func ofData(dir string) (*tls.Config, error) {
	e, err := ReadEndpoints(dir)
	if err != nil || e.TLS == "" {
		return nil, err
	}
	if e.CertFile == "" {
		return trusting("--data", filepath.Join(dir, folderPKI, pki.FileCA))
	}
	text, err := os.ReadFile(e.CertFile)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // the system's roots may know it
	}
	if err != nil {
		return nil, fmt.Errorf("read the server's certificate: %w", err)
	}
	chain, err := certificate.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("the server's certificate %s %w", e.CertFile, err)
	}
	return pki.Same(chain), nil
}
