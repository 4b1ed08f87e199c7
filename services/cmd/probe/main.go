// Probe asks an address and ends with 0 if it answers 200, with 1 if not: the health check of images that hold no shell.
//
//	probe http://127.0.0.1:9090/readyz
//	probe --ca-file /run/tls/ca.crt https://127.0.0.1:9090/readyz
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
)

// timeout is below that of the health checks in docker-compose.yml.
const timeout = 4 * time.Second

func main() {
	os.Exit(process.Run("probe", func(ctx context.Context) error {
		switch args := os.Args[1:]; {
		case len(args) == 1:
			return ask(ctx, http.DefaultClient, args[0])
		case len(args) == 3 && args[0] == "--ca-file":
			c, err := trusting(args[1])
			if err != nil {
				return err
			}
			return ask(ctx, c, args[2])
		default:
			return &process.UsageError{Err: fmt.Errorf("usage: probe [--ca-file FILE] URL")}
		}
	}))
}

// trusting is a client that trusts the authorities in a file alone.
func trusting(file string) (*http.Client, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	pool, err := certificate.Pool(string(text))
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %s %w", file, err)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: pki.Trusting(pool)}}, nil
}

func ask(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("request %s: %w", url, err)
	}
	answer, err := client.Do(q)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return fmt.Errorf("request %s: %s: %s", url, answer.Status, why)
	}
	return nil
}
