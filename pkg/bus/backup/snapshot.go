package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// The API of nats-server for snapshots (jetstream_api.go of nats-server 2.15). nats.go has no client of it, and jsm.go, which has
// one, brings a schema validator and a metrics library along.
const (
	apiSnapshot = "$JS.API.STREAM.SNAPSHOT."
	apiRestore  = "$JS.API.STREAM.RESTORE."
)

const (
	// chunkBytes is how much the broker sends in one message, restoreBlock how much one message tells it to restore, in bytes before they
	// are compressed.
	chunkBytes   = 128 << 10
	restoreBlock = 4 << 10
	// apiTimeout bounds one question to the broker, and its silence within a snapshot.
	apiTimeout = 30 * time.Second
	// restoreTimeout bounds the end of a restore: three servers of a cluster copy the stream meanwhile.
	restoreTimeout = 10 * time.Minute
)

// stream is the configuration and the state of a stream as the broker answers them. A restore gives both back.
type stream struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
}

// streamState is what is read of a state.
type streamState struct {
	Messages  uint64 `json:"messages"`
	Bytes     uint64 `json:"bytes"`
	LastSeq   uint64 `json:"last_seq"`
	Consumers int    `json:"consumer_count"`
}

func (s stream) state() (out streamState, err error) {
	if err := json.Unmarshal(s.State, &out); err != nil {
		return out, fmt.Errorf("read the state of a stream: %w", err)
	}
	return out, nil
}

// apiError is a refusal of the broker.
type apiError struct {
	Code        int    `json:"code"`
	Description string `json:"description"`
}

// ask makes one request to the broker's API.
func ask(ctx context.Context, c *wire.Conn, subject string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	m, err := c.NC.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	return answer(m, out)
}

func answer(m *nats.Msg, out any) error {
	var refused struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &refused); err != nil {
		return fmt.Errorf("read the broker's answer: %w", err)
	}
	if refused.Error != nil {
		return fmt.Errorf("the broker refuses: %s (%d)", refused.Error.Description, refused.Error.Code)
	}
	return json.Unmarshal(m.Data, out)
}

// snapshot reads a stream with the bytes of its snapshot: began gets its configuration and state, piece each chunk.
func snapshot(ctx context.Context, c *wire.Conn, of source, began func(stream) error, piece func([]byte) error) error {
	inbox := c.NC.NewInbox()
	sub, err := c.NC.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	var s stream
	how := map[string]any{"deliver_subject": inbox, "no_consumers": !of.consumers, "chunk_size": chunkBytes}
	if err := ask(ctx, c, apiSnapshot+of.stream, how, &s); err != nil {
		return err
	}
	if err := began(s); err != nil {
		return err
	}
	for {
		m, err := nextChunk(ctx, sub)
		if err != nil {
			return err
		}
		if len(m.Data) == 0 {
			if status := m.Header.Get("Status"); status != "" && status != "204" {
				return fmt.Errorf("the broker ended the snapshot with %s %s", status, m.Header.Get("Description"))
			}
			return nil
		}
		if err := piece(m.Data); err != nil {
			return err
		}
		if m.Reply == "" {
			continue
		}
		// The broker sends more once this has arrived, and gives up after 5 s without.
		if err := m.Respond(nil); err != nil {
			return err
		}
	}
}

func nextChunk(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	m, err := sub.NextMsgWithContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the broker has sent nothing for %s", apiTimeout)
	}
	return m, err
}

// restoration is a stream that is being restored.
type restoration struct {
	conn    *wire.Conn
	subject string
	// in takes the snapshot. sent is closed once it was sent, or not, because of err.
	in   *io.PipeWriter
	sent chan struct{}
	err  error
}

// restore begins to restore a stream that is not there. Its configuration has as many replicas as are told.
func restore(ctx context.Context, c *wire.Conn, name string, s stream) (*restoration, error) {
	var began struct {
		Subject string `json:"deliver_subject"`
	}
	if err := ask(ctx, c, apiRestore+name, s, &began); err != nil {
		return nil, err
	}
	source, in := io.Pipe()
	r := &restoration{conn: c, subject: began.Subject, in: in, sent: make(chan struct{})}
	go func() {
		defer close(r.sent)
		r.err = reblock(chunks{ctx, r}, source)
		_ = source.CloseWithError(r.err)
	}()
	return r, nil
}

// reblock copies a snapshot with small blocks. The broker gives a restore up if it takes longer than 5 s with what one message brings, and
// a block of its own holds thousands of messages, of which it syncs each to the disk.
func reblock(to io.Writer, snapshot io.Reader) error {
	w := s2.NewWriter(to, s2.WriterBlockSize(restoreBlock), s2.WriterConcurrency(1))
	_, err := io.Copy(w, s2.NewReader(snapshot))
	if err != nil {
		return err
	}
	return w.Close()
}

// chunks sends what is written.
type chunks struct {
	ctx context.Context //nolint:containedctx // of one restore
	r   *restoration
}

// Write implements io.Writer.
func (c chunks) Write(b []byte) (int, error) {
	m, err := c.r.send(c.ctx, b, apiTimeout)
	if err == nil && len(m.Data) > 0 {
		err = answer(m, &struct{}{})
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// write takes the next bytes of the snapshot.
func (r *restoration) write(b []byte) error {
	_, err := r.in.Write(b)
	return err
}

// abandon ends what has not ended.
func (r *restoration) abandon() {
	_ = r.in.CloseWithError(context.Canceled)
	<-r.sent
}

// end waits until the stream is there and returns the sequence of its last message.
func (r *restoration) end(ctx context.Context) (uint64, error) {
	_ = r.in.Close()
	<-r.sent
	if r.err != nil {
		return 0, r.err
	}
	m, err := r.send(ctx, nil, restoreTimeout)
	if err != nil {
		return 0, err
	}
	var info struct {
		State streamState `json:"state"`
	}
	err = answer(m, &info)
	return info.State.LastSeq, err
}

func (r *restoration) send(ctx context.Context, b []byte, wait time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return r.conn.NC.RequestWithContext(ctx, r.subject, b)
}

// withReplicas is the stream as it is to be on a broker that keeps so many copies.
func (s stream) withReplicas(n int) (stream, error) {
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(s.Config, &config); err != nil {
		return s, fmt.Errorf("read the configuration of a stream: %w", err)
	}
	config["num_replicas"] = json.RawMessage(fmt.Sprint(n))
	// Where it was kept says nothing of this broker.
	delete(config, "placement")
	var err error
	s.Config, err = json.Marshal(config)
	return s, err
}
