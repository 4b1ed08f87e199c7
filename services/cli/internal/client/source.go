package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
)

// DefaultURL is where `outbound run` listens unless told otherwise.
const DefaultURL = "http://127.0.0.1:8080"

// Source is where the address and the token of Outbound come from.
type Source struct {
	// URL, TokenFile and Data are the flags --url, --token-file and --data.
	URL, TokenFile, Data string
	// CAFile and CAFingerprint are the flags --ca-file and --ca-fingerprint.
	CAFile, CAFingerprint string
	// Context is the flag --context.
	Context string
	// Files reads token files and the environment.
	Files *input.Reader
	// Version is sent as User-Agent.
	Version string
	// stored is the token that a context stores.
	stored string
}

// Connect makes a client from flags, the data folder, the environment and the current context, in this order.
func (s *Source) Connect() (*Client, error) {
	s, err := s.settled()
	if err != nil {
		return nil, err
	}
	base, err := s.address()
	if err != nil {
		return nil, err
	}
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	secure, err := s.TLS(base)
	if err != nil {
		return nil, err
	}
	return New(base, token, s.Version, secure), nil
}

// Arguments are the flags of the source, behind a blank each, as another command takes them. Values are quoted for a shell.
func (s *Source) Arguments() string {
	var b strings.Builder
	for _, f := range [][2]string{{"context", s.Context}, {"url", s.URL}, {"token-file", s.TokenFile}, {"data", s.Data}, {"ca-file", s.CAFile},
		{"ca-fingerprint", s.CAFingerprint}} {
		if f[1] == "" {
			continue
		}
		value := f[1]
		if strings.ContainsAny(value, " '\"$&;|<>()*?`\\") {
			value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		}
		b.WriteString(" --" + f[0] + " " + value)
	}
	return b.String()
}

func (s *Source) address() (string, error) {
	from := s.URL
	if from == "" && s.Data != "" {
		e, err := ReadEndpoints(s.Data)
		if err != nil {
			return "", err
		}
		from = e.url()
	}
	if from == "" {
		from = s.Files.Getenv("OUTBOUND_URL")
	}
	if from == "" {
		from = DefaultURL
	}
	return checkedAddress(from)
}

// CheckAddress refuses what is no address of a server.
func CheckAddress(from string) error {
	_, err := checkedAddress(from)
	return err
}

func checkedAddress(from string) (string, error) {
	if !strings.Contains(from, "://") {
		from = "http://" + from
	}
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", exit.Usagef("%q is not a valid address: use e.g. %s", from, DefaultURL)
	}
	return strings.TrimRight(from, "/"), nil
}

func (s *Source) token() (string, error) {
	file := s.TokenFile
	if file == "" && s.Data != "" {
		file = filepath.Join(s.Data, "admin.token")
	}
	if file != "" {
		return s.Files.ReadSecret(file)
	}
	if s.stored != "" {
		return s.stored, nil
	}
	if t := strings.TrimSpace(s.Files.Getenv("OUTBOUND_TOKEN")); t != "" {
		return t, nil
	}
	return "", exit.Usagef("no token: use --data DIR, --token-file FILE or OUTBOUND_TOKEN, or add a context (outbound context add)")
}

// Endpoints is what `outbound run` writes into its data folder once it is ready.
type Endpoints struct {
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
	NATS string `json:"nats"`
	// TLS is auto or files if they speak it, with the certificate in CertFile or one of the local authority in the data folder.
	TLS      string `json:"tls"`
	CertFile string `json:"certFile"`
}

func (e Endpoints) url() string {
	if e.TLS != "" {
		return "https://" + e.HTTP
	}
	return e.HTTP
}

// ReadEndpoints reads the addresses of the `outbound run` that uses a data folder.
func ReadEndpoints(dir string) (Endpoints, error) {
	path := filepath.Join(dir, "endpoints.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoints{}, fmt.Errorf("%s does not exist: start `outbound run --data %s` first, or check --data", path, dir)
	}
	if err != nil {
		return Endpoints{}, fmt.Errorf("read the server's addresses: %w", err)
	}
	var e Endpoints
	if err := json.Unmarshal(b, &e); err != nil {
		return Endpoints{}, fmt.Errorf("read %s: %w", path, err)
	}
	return e, nil
}
