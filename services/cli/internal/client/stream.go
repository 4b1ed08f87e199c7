package client

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

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// maxLine bounds one message of a stream.
const maxLine = 16 << 20

// errEnded says that the server ended a stream that has no end of its own.
var errEnded = errors.New("the server ended the stream")

// Subscription says which stream to read, and what to do with its messages.
type Subscription struct {
	Path string
	// Next returns an empty message to read into, Each gets it once it is read.
	Next func() proto.Message
	Each func(proto.Message) error
	// Broken is called with the error of a stream that is asked for again.
	Broken func(error)
}

// stream reads the messages of a stream, one JSON object a line, until ctx ends or something fails. It never returns nil.
func (c *Client) stream(ctx context.Context, s Subscription) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+s.Path, nil)
	if err != nil {
		return exit.Usagef("parse the address %q: %w", c.base, err)
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
			return fmt.Errorf("read the response to GET %s: %w", s.Path, err)
		}
		return refusal(resp.StatusCode, answer)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := readLine(lines.Bytes(), s.Next(), s.Each); err != nil {
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

// followPause is the pause before a broken stream is asked for again.
const followPause = time.Second

// Follow reads a stream until ctx ends, which is no error. It asks again for a stream that breaks; one that never began, or that the
// server refuses, is an error.
func (c *Client) Follow(ctx context.Context, s Subscription) error {
	each, began := s.Each, false
	for {
		var failed error
		s.Each = func(m proto.Message) error {
			began, failed = true, each(m)
			return failed
		}
		err := c.stream(ctx, s)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // whoever reads a stream ends it by leaving
		}
		switch {
		case failed != nil, !began && !errors.Is(err, errEnded), !breaks(err):
			return err
		}
		s.Broken(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

// breaks reports whether a stream may be asked for again: it ended, or the server is unavailable for a while.
func breaks(err error) bool {
	var refused *APIError
	if errors.As(err, &refused) {
		return refused.code == codes.Unavailable || refused.code == codes.DeadlineExceeded || refused.code == codes.Canceled
	}
	var wrong *exit.UsageError
	return !errors.As(err, &wrong)
}

// Read reads a stream that the server ends, once. A stream that breaks is an error; whether it is complete, its messages tell.
func (c *Client) Read(ctx context.Context, s Subscription) error {
	err := c.stream(ctx, s)
	if err == errEnded { //nolint:errorlint // wrapped, it is a stream that broke
		return nil
	}
	return err
}
