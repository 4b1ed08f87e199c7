package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// defaultURL is the default address of `outbound run`.
const defaultURL = "http://127.0.0.1:8080"

func (a *app) connectionFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&a.url, "url", "", "address of the Outbound server (default OUTBOUND_URL, else "+defaultURL+")")
	f.StringVar(&a.tokenFile, "token-file", "", "file with the token (default: the value of OUTBOUND_TOKEN)")
	f.StringVar(&a.data, "data", "", "data directory of a local server (reads endpoints.json and admin.token)")
	a.outputFlag(c)
}

func (a *app) outputFlag(c *cobra.Command) {
	c.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "output format: table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) checkOutput() error {
	if a.output != "table" && a.output != "json" && a.output != "yaml" {
		return usage("-o %q is not a format: use table, json or yaml", a.output)
	}
	return nil
}

// connect creates a client from flags, the data directory and the environment, in this order.
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
		return "", usage("%q is not a valid address: use e.g. %s", from, defaultURL)
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
	return "", usage("no token: use --data DIR, --token-file FILE or OUTBOUND_TOKEN")
}

// endpoints is the file that `outbound run` writes to its data directory when it is ready.
type endpoints struct {
	HTTP string `json:"http"`
	GRPC string `json:"grpc"`
	NATS string `json:"nats"`
}

func readEndpoints(dir string) (endpoints, error) {
	path := filepath.Join(dir, "endpoints.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return endpoints{}, fmt.Errorf("%s does not exist: start `outbound run --data %s` first, or check --data", path, dir)
	}
	if err != nil {
		return endpoints{}, fmt.Errorf("read the server's addresses: %w", err)
	}
	var e endpoints
	if err := json.Unmarshal(b, &e); err != nil {
		return endpoints{}, fmt.Errorf("read %s: %w", path, err)
	}
	return e, nil
}

// readSecretFile reads a secret from a file, or from standard input if the file is `-`. It trims the line break.
func readSecretFile(path string, in io.Reader) (string, error) {
	b, err := readInput(path, in)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", usage("%s is empty: it must hold a secret", path)
	}
	return secret, nil
}

// maxInput is the maximum size of an input file, which is the server's limit.
const maxInput = 16 << 20

func readInput(path string, in io.Reader) ([]byte, error) {
	if path == "-" {
		b, err := io.ReadAll(io.LimitReader(in, maxInput))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return b, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	return b, nil
}
