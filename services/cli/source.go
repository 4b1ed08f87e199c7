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

// connect makes a client from flags, the data folder and the environment, in this order.
func (a *app) connect() (*client, error) {
	if err := a.checkOutput(); err != nil {
		return nil, err
	}
	base, err := a.address()
	if err != nil {
		return nil, err
	}
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	return newClient(base, token, a.Version), nil
}

func (a *app) address() (string, error) {
	from := a.url
	if from == "" && a.data != "" {
		e, err := readEndpoints(a.data)
		if err != nil {
			return "", err
		}
		from = e.HTTP
	}
	if from == "" {
		from = a.Getenv("OUTBOUND_URL")
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

func (a *app) token() (string, error) {
	file := a.tokenFile
	if file == "" && a.data != "" {
		file = filepath.Join(a.data, "admin.token")
	}
	if file != "" {
		return readSecretFile(file, a.In)
	}
	if t := strings.TrimSpace(a.Getenv("OUTBOUND_TOKEN")); t != "" {
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
