package storefile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/minio/highwayhash"
)

// The files and folders of a stream.
const (
	folderMessages  = "msgs"
	folderConsumers = "obs"
	fileMeta        = "meta.inf"
	fileSum         = "meta.sum"
	fileState       = "o.dat"
	fileIndex       = "index.db"
)

// Kind says what a fault is about.
type Kind int

// The kinds of faults.
const (
	// Settings are those of a stream. Its messages are there.
	Settings Kind = iota + 1
	// Messages cannot be read.
	Messages
	// Consumer is one that cannot be read. Its queue can be rebuilt from the stream and the log.
	Consumer
)

// Fault is a damaged file.
type Fault struct {
	Kind Kind
	// Stream is the stream's name, Consumer the consumer's.
	Stream, Consumer string
	// Path of the file, Problem in words.
	Path, Problem string
	// Lost are the sequences between the readable messages before and behind the damage. A damage at the end of the last block has none.
	Lost []Range
}

// Range is sequences from First to Last, both included.
type Range struct{ First, Last uint64 }

// Len is how many sequences there are.
func (r Range) Len() uint64 { return r.Last - r.First + 1 }

// String is the range in words.
func (r Range) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d to %d", r.First, r.Last)
}

// Report is what a store's files hold.
type Report struct {
	// Streams are the names of those that have a folder.
	Streams []string
	Faults  []Fault
	// Unread is how many bytes were not read, because Limit was reached.
	Unread int64
}

// Options say what is looked at.
type Options struct {
	// Dir is the broker's store folder, Account the account of the streams.
	Dir, Account string
	// Limit is how many bytes of messages are read, the newest blocks of each stream first; 0: all.
	Limit int64
	// Key is what the store is encrypted with, as nats-server takes it; empty: it is not.
	Key string
}

// folder is where the streams of an account are.
func (o Options) folder() string { return filepath.Join(o.Dir, "jetstream", o.Account, "streams") }

// Inspect reads the files of all streams. A store that does not exist yet is an empty report. It is ErrKey if the key is not the store's.
func Inspect(o Options) (Report, error) {
	var out Report
	if err := CheckKey(o); err != nil {
		return out, err
	}
	folders, err := os.ReadDir(o.folder())
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read the broker's store: %w", err)
	}
	left := o.Limit
	if left <= 0 {
		left = 1 << 62
	}
	for _, f := range folders {
		if !f.IsDir() || f.Name()[0] == '.' {
			continue
		}
		s := stream{name: f.Name(), dir: filepath.Join(o.folder(), f.Name()), opener: o.opener()}
		out.Streams = append(out.Streams, s.name)
		faults, err := s.inspect(&left, &out.Unread)
		if err != nil {
			return out, fmt.Errorf("read the files of stream %s: %w", s.name, err)
		}
		out.Faults = append(out.Faults, faults...)
	}
	return out, nil
}

// stream is a stream's folder. opener decrypts what is in it; nil: it is not encrypted.
type stream struct {
	name, dir string
	opener    *opener
}

func (s stream) inspect(left, unread *int64) (out []Fault, err error) {
	if problem := s.checkMeta(s.dir, s.name, s.name); problem != "" {
		out = append(out, Fault{Kind: Settings, Stream: s.name, Path: filepath.Join(s.dir, fileMeta), Problem: problem})
	}
	consumers, err := os.ReadDir(filepath.Join(s.dir, folderConsumers))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, c := range consumers {
		if c.IsDir() {
			out = append(out, s.inspectConsumer(c.Name())...)
		}
	}
	blocks, err := s.blocks()
	if err != nil {
		return nil, err
	}
	// An empty one at the end was made when the machine stopped: the one before it is the last that was written.
	for len(blocks) > 1 && blocks[len(blocks)-1].size == 0 {
		blocks = blocks[:len(blocks)-1]
	}
	for i, b := range slices.Backward(blocks) {
		if *left -= b.size; *left < 0 {
			*unread += b.size
			continue
		}
		f, err := s.inspectBlock(b, i == len(blocks)-1)
		if err != nil {
			return nil, err
		}
		out = append(out, f...)
	}
	return out, nil
}

func (s stream) inspectConsumer(name string) []Fault {
	dir := filepath.Join(s.dir, folderConsumers, name)
	fault := func(file, problem string) []Fault {
		return []Fault{{Kind: Consumer, Stream: s.name, Consumer: name, Path: filepath.Join(dir, file), Problem: problem}}
	}
	if problem := s.checkMeta(dir, s.name+"/"+name, s.name+"."+name); problem != "" {
		return fault(fileMeta, problem)
	}
	state, err := os.ReadFile(filepath.Join(dir, fileState))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has been given out yet
	}
	if err != nil {
		return fault(fileState, err.Error())
	}
	if len(state) > 0 {
		if state, err = s.opener.within(dir, s.name+"."+name, state); err != nil {
			return fault(fileState, "its state can't be decrypted")
		}
	}
	if problem := checkState(state); problem != "" {
		return fault(fileState, problem)
	}
	return nil
}

// checkMeta says what is wrong with the settings in a folder; empty: nothing. key is what their checksum is bound to, context what their
// key is sealed for.
func (s stream) checkMeta(dir, key, context string) string {
	meta, err := os.ReadFile(filepath.Join(dir, fileMeta))
	if err != nil {
		return "its settings cannot be read"
	}
	sum, err := os.ReadFile(filepath.Join(dir, fileSum))
	if err != nil {
		return "the checksum of its settings cannot be read"
	}
	k := sha256.Sum256([]byte(key))
	h := highwayhash.Sum64(meta, k[:])
	var b [8]byte
	for i := range b {
		b[i] = byte(h >> (8 * i))
	}
	switch {
	case len(meta) == 0:
		return "its settings are empty"
	case hex.EncodeToString(b[:]) != string(sum):
		return "its settings do not fit their checksum"
	}
	switch plain, err := s.opener.within(dir, context, meta); {
	case err != nil:
		return "its settings can't be decrypted"
	case !json.Valid(plain):
		return "its settings cannot be decoded"
	}
	return ""
}
