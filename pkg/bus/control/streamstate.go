package control

import (
	"context"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
)

// StreamState is how full a stream is. A bound of 0 is none.
type StreamState struct {
	Name                      string
	Messages, Bytes, MaxBytes uint64
	MaxMessages               uint64
	MaxAge                    time.Duration
	// FirstSequence and LastSequence are where it begins and ends, FirstTime is when the oldest message in it was stored; zero if there
	// is none.
	FirstSequence, LastSequence uint64
	FirstTime                   time.Time
}

// UsedPercent is how much of its tightest bound is used, of messages or of bytes. Age bounds a stream too, but refuses nothing.
func (s StreamState) UsedPercent() int {
	used := 0.0
	if s.MaxBytes > 0 {
		used = float64(s.Bytes) / float64(s.MaxBytes)
	}
	if s.MaxMessages > 0 {
		used = max(used, float64(s.Messages)/float64(s.MaxMessages))
	}
	return int(min(used*100, 100))
}

// Fill is how much of its bound of bytes is used, from 0 to 1.
func (s StreamState) Fill() float64 {
	if s.MaxBytes == 0 {
		return 0
	}
	return float64(s.Bytes) / float64(s.MaxBytes)
}

// StreamStates looks at EVENTS, HISTORY and NOTICES.
func (c Client) StreamStates(ctx context.Context) ([]StreamState, error) {
	var out []StreamState
	for _, name := range []string{names.StreamEvents, names.StreamHistory, names.StreamNotices} {
		s, err := c.StreamState(ctx, name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// StreamState looks at one stream.
func (c Client) StreamState(ctx context.Context, name string) (StreamState, error) {
	s, err := c.conn.JS.Stream(ctx, name)
	if err != nil {
		return StreamState{}, fmt.Errorf("look up stream %s: %w", name, err)
	}
	i := s.CachedInfo()
	out := StreamState{
		Name: name, Messages: i.State.Msgs, Bytes: i.State.Bytes, MaxBytes: uint64(max(i.Config.MaxBytes, 0)), FirstSequence: i.State.FirstSeq,
		LastSequence: i.State.LastSeq, MaxMessages: uint64(max(i.Config.MaxMsgs, 0)), MaxAge: i.Config.MaxAge,
	}
	if i.State.Msgs > 0 {
		out.FirstTime = i.State.FirstTime
	}
	return out, nil
}
