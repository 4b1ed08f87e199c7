package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// defaultURL is where `outbound run` listens unless told otherwise.
const defaultURL = "http://127.0.0.1:8080"

// source is where the address and the token of Outbound come from.
type source struct {
	// URL, TokenFile and Data are the flags --url, --token-file and --data.
	URL, TokenFile, Data string
	// Files reads token files and the environment.
	Files *reader
	// Version is sent as User-Agent.
	Version string
}

// connect makes a client from flags, the data folder and the environment, in this order.
func (s *source) connect() (*client, error) {
	base, err := s.address()
	if err != nil {
		return nil, err
	}
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	return newClient(base, token, s.Version), nil
}

func (s *source) address() (string, error) {
	from := s.URL
	if from == "" && s.Data != "" {
		e, err := readEndpoints(s.Data)
		if err != nil {
			return "", err
		}
		from = e.HTTP
	}
	if from == "" {
		from = s.Files.Getenv("OUTBOUND_URL")
	}
	if from == "" {
		from = defaultURL
	}
	if !strings.Contains(from, "://") {
		from = "http://" + from
	}
	u, err := url.Parse(from)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", usage("%q is not an address: write it as in %s", from, defaultURL)
	}
	return strings.TrimRight(from, "/"), nil
}

func (s *source) token() (string, error) {
	file := s.TokenFile
	if file == "" && s.Data != "" {
		file = filepath.Join(s.Data, "admin.token")
	}
	if file != "" {
		return s.Files.readSecret(file)
	}
	if t := strings.TrimSpace(s.Files.Getenv("OUTBOUND_TOKEN")); t != "" {
		return t, nil
	}
	return "", usage("no token: give --data DIR, --token-file FILE or OUTBOUND_TOKEN")
}

// endpoints is what `outbound run` writes into its data folder once it is ready.
type endpoints struct {
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
	NATS string `json:"nats"`
}

func readEndpoints(dir string) (endpoints, error) {
	path := filepath.Join(dir, "endpoints.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return endpoints{}, fmt.Errorf("%s is not there: start `outbound run --data %s` first, or check --data", path, dir)
	}
	if err != nil {
		return endpoints{}, fmt.Errorf("read the addresses of Outbound: %w", err)
	}
	var e endpoints
	if err := json.Unmarshal(b, &e); err != nil {
		return endpoints{}, fmt.Errorf("read %s: %w", path, err)
	}
	return e, nil
}
