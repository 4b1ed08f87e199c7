package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// job is a stored replay: what callers see, and how far it is. One process at a time runs it, the one that holds the lease.
type job struct {
	replay *outboundv1.Replay
	position
	// kv is the revision of the bucket that this is.
	kv uint64
}

// position is how far a job is.
type position struct {
	// Next is where the source goes on; all before is queued or unavailable.
	Next uint64 `json:"next"`
	// Until is the last sequence of the source, as it was when the job was made.
	Until uint64 `json:"until"`
	// Behind is the last sequence of EVENTS when the job was created: its messages come after that.
	Behind uint64 `json:"behind"`
	// Counted says that the total is known.
	Counted bool `json:"counted"`
	// Owner runs the job until Lease ends, which it prolongs.
	Owner string    `json:"owner,omitempty"`
	Lease time.Time `json:"lease"`
	// StopAsked is who asked to stop it. It runs until what it has queued is counted.
	StopAsked string `json:"stopAsked,omitempty"`
}

// storedJob is a job as it is stored.
type storedJob struct {
	Replay json.RawMessage `json:"replay"`
	position
}

const prefixJob = "job."

func (j *job) encode() ([]byte, error) {
	raw, err := protojson.Marshal(j.replay)
	if err != nil {
		return nil, fmt.Errorf("encode replay %s: %w", j.replay.GetId(), err)
	}
	return json.Marshal(storedJob{Replay: raw, position: j.position})
}

func decodeJob(e bus.Entry) (*job, error) {
	var stored storedJob
	j := &job{replay: &outboundv1.Replay{}, kv: e.Revision}
	if err := json.Unmarshal(e.Value, &stored); err != nil {
		return nil, fmt.Errorf("read replay %s: %w", e.Key, err)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(stored.Replay, j.replay); err != nil {
		return nil, fmt.Errorf("read replay %s: %w", e.Key, err)
	}
	j.position = stored.position
	return j, nil
}

// store keeps replays in their bucket.
type store struct{ bus *bus.Conn }

// all returns all replays, by id and thus by age.
func (s *store) all(ctx context.Context) ([]*job, error) {
	b, err := s.bus.Bucket(ctx, bus.BucketReplays)
	if err != nil {
		return nil, err
	}
	entries, err := b.All(ctx, prefixJob)
	if err != nil {
		return nil, err
	}
	out := make([]*job, 0, len(entries))
	for _, e := range entries {
		j, err := decodeJob(e)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// get reads one replay, or bus.ErrNotFound.
func (s *store) get(ctx context.Context, id string) (*job, error) {
	b, err := s.bus.Bucket(ctx, bus.BucketReplays)
	if err != nil {
		return nil, err
	}
	e, err := b.Get(ctx, prefixJob+id)
	if err != nil {
		return nil, err
	}
	return decodeJob(e)
}

// jobsKept is how many replays are kept.
const jobsKept = 1000

// add stores a new job, and forgets the oldest that have ended if there are too many.
func (s *store) add(ctx context.Context, j *job) error {
	all, err := s.all(ctx)
	if err != nil {
		return err
	}
	b, err := s.bus.Bucket(ctx, bus.BucketReplays)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(old *job) bool { return old.replay.GetState() == outboundv1.Replay_RUNNING })
	for len(all) >= jobsKept {
		if err := b.Delete(ctx, prefixJob+all[0].replay.GetId(), 0); err != nil {
			return err
		}
		all = all[1:]
	}
	raw, err := j.encode()
	if err != nil {
		return err
	}
	j.kv, err = b.Create(ctx, prefixJob+j.replay.GetId(), raw)
	return err
}

// save stores how far a job is. bus.ErrConflict: another process has written it since.
func (s *store) save(ctx context.Context, j *job) error {
	b, err := s.bus.Bucket(ctx, bus.BucketReplays)
	if err != nil {
		return err
	}
	raw, err := j.encode()
	if err != nil {
		return err
	}
	kv, err := b.Update(ctx, prefixJob+j.replay.GetId(), raw, j.kv)
	if err == nil {
		j.kv = kv
	}
	return err
}

// update reads a job, changes it by f and stores it, again if another process was faster. f returns whether there is anything to store.
func (s *store) update(ctx context.Context, id string, f func(*job) bool) (*job, error) {
	if strings.ContainsAny(id, ".*> ") {
		return nil, fmt.Errorf("find replay: %w", bus.ErrNotFound)
	}
	for {
		j, err := s.get(ctx, id)
		if err != nil || !f(j) {
			return j, err
		}
		if err := s.save(ctx, j); !errors.Is(err, bus.ErrConflict) {
			return j, err
		}
	}
}
