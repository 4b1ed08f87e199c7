package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// pieceBytes is how large a member of the file is: large enough for the tar headers to cost nothing.
const pieceBytes = 1 << 20

// Options say what a backup holds.
type Options struct {
	// Header is written as it is, with the format of this package.
	Header Header
	// Began is called before a part is read.
	Began func(Part)
}

// Take writes a backup of a running system. What it returned without an error is a whole backup.
func Take(ctx context.Context, c *wire.Conn, o Options, w io.Writer) (Manifest, error) {
	o.Header.Format = format
	t := taker{conn: c, file: newWriter(w, o.Header.CreateTime), began: o.Began, manifest: Manifest{Header: o.Header}}
	if err := t.file.json(memberHeader, o.Header); err != nil {
		return Manifest{}, err
	}
	for _, s := range sources() {
		if s.deliveries && !o.Header.Deliveries {
			continue
		}
		if err := t.part(ctx, s); err != nil {
			return Manifest{}, fmt.Errorf("back up %s: %w", s.name, err)
		}
	}
	if !o.Header.Deliveries {
		// The sequences in the configuration go on from here.
		last, err := t.last(ctx, names.StreamEvents)
		if err != nil {
			return Manifest{}, err
		}
		t.manifest.EventsSequence = last
	}
	if err := t.file.json(memberManifest, t.manifest); err != nil {
		return Manifest{}, err
	}
	return t.manifest, t.file.close()
}

type taker struct {
	conn     *wire.Conn
	file     *writer
	manifest Manifest
	began    func(Part)
}

// last is the last sequence of a stream.
func (t *taker) last(ctx context.Context, name string) (uint64, error) {
	s, err := t.conn.JS.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", name, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// part writes one stream or bucket.
func (t *taker) part(ctx context.Context, s source) (err error) {
	if s.name == names.StreamEvents {
		if t.manifest.HistorySequence, err = t.last(ctx, names.StreamHistory); err != nil {
			return err
		}
	}
	p := pieces{file: t.file, part: Part{Name: s.name}}
	sum := sha256.New()
	err = snapshot(ctx, t.conn, s, func(of stream) error {
		state, err := of.state()
		if err != nil {
			return err
		}
		p.part.Messages, p.part.Bytes = state.Messages, state.Bytes
		if s.consumers {
			p.part.Consumers = state.Consumers
		}
		if s.name == names.StreamEvents {
			t.manifest.EventsSequence = state.LastSeq
		}
		if t.began != nil {
			t.began(p.part)
		}
		return t.file.json(s.name+"/"+memberStream, of)
	}, func(chunk []byte) error {
		_, _ = sum.Write(chunk)
		return p.add(chunk)
	})
	if err == nil {
		err = p.flush()
	}
	p.part.SHA256 = hex.EncodeToString(sum.Sum(nil))
	t.manifest.Parts = append(t.manifest.Parts, p.part)
	return err
}

// pieces joins the chunks of a snapshot to members of the file.
type pieces struct {
	file *writer
	part Part
	held []byte
}

func (p *pieces) add(chunk []byte) error {
	if len(p.held) > 0 && len(p.held)+len(chunk) > pieceBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.held = append(p.held, chunk...)
	return nil
}

func (p *pieces) flush() error {
	if len(p.held) == 0 {
		return nil
	}
	p.part.Pieces++
	p.part.FileBytes += int64(len(p.held))
	err := p.file.member(pieceName(p.part.Name, p.part.Pieces), p.held)
	p.held = p.held[:0]
	return err
}
