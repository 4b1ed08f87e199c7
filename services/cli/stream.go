package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// maxLine bounds one message of a stream.
const maxLine = 16 << 20

// errEnded reports that the server closed an endless stream.
var errEnded = errors.New("the server ended the stream")

// stream reads the messages of a stream, one JSON object a line, into what next gives, until ctx ends or something fails. It
// never returns nil.
func (c *client) stream(ctx context.Context, path string, next func() proto.Message, each func(proto.Message) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return usage("parse the address %q: %w", c.base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", "outbound-cli/"+c.version)
	endless := *c.http
	endless.Timeout = 0
	resp, err := endless.Do(req)
	if err != nil {
		return unreachable(c.base, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the response to GET %s: %w", path, err)
		}
		return refusal(resp.StatusCode, answer)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := readLine(lines.Bytes(), next(), each); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return errEnded
}

// readLine reads a line of a stream: a message as `result`, or the error that ends the stream.
func readLine(line []byte, m proto.Message, each func(proto.Message) error) error {
	var wrapped struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(line, &wrapped); err != nil {
		return fmt.Errorf("read a line of the stream: %w", err)
	}
	if wrapped.Error != nil {
		return refusal(http.StatusOK, wrapped.Error)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(wrapped.Result, m); err != nil {
		return fmt.Errorf("read a line of the stream: %w", err)
	}
	return each(m)
}

// followPause is how long a stream that broke rests before it is asked for again.
const followPause = time.Second

// follow reads a stream until ctx ends, which is no error. One that breaks is asked for again, which is noted; one that never
// began, or that is refused, is an error.
func (a *app) follow(ctx context.Context, c *client, path string, next func() proto.Message, each func(proto.Message) error) error {
	began := false
	for {
		var failed error
		err := c.stream(ctx, path, next, func(m proto.Message) error {
			began, failed = true, each(m)
			return failed
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the reader ends a stream by cancelling it
		}
		switch {
		case failed != nil, !began && !errors.Is(err, errEnded), !breaks(err):
			return err
		}
		_, _ = fmt.Fprintf(a.Err, "%s; reconnecting\n", clean(err.Error()))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

// breaks reports whether a stream can be resumed after an error: it ended, or the server is temporarily not available.
func breaks(err error) bool {
	var refused *apiError
	if errors.As(err, &refused) {
		return refused.code == codes.Unavailable || refused.code == codes.DeadlineExceeded || refused.code == codes.Canceled
	}
	var wrong *usageError
	return !errors.As(err, &wrong)
}
