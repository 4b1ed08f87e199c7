// Probe asks an address and ends with 0 if it answers 200, with 1 if not: the health check of images that hold no shell.
//
//	probe http://127.0.0.1:9090/readyz
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
)

// timeout is below that of the health checks in docker-compose.yml.
const timeout = 4 * time.Second

func main() {
	os.Exit(process.Run("probe", func(ctx context.Context) error {
		if len(os.Args) != 2 {
			return &process.UsageError{Err: fmt.Errorf("usage: probe URL")}
		}
		return ask(ctx, os.Args[1])
	}))
}

func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("request %s: %w", url, err)
	}
	answer, err := http.DefaultClient.Do(q)
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
