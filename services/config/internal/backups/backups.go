// Package backups takes backups of the running system.
package backups

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Deps are what backups work with.
type Deps struct {
	Bus        *bus.Conn
	Recipients *store.Recipients
	Parts      *store.Parts
	Sealer     *secret.Sealer
	Logger     *slog.Logger
}

// Backups implements outboundv1.BackupServiceServer.
type Backups struct {
	outboundv1.UnimplementedBackupServiceServer
	deps Deps
	// turn is held by the backup under way: two at once would only slow each other and the broker.
	turn chan struct{}
}

// New returns what takes backups.
func New(d Deps) *Backups { return &Backups{deps: d, turn: make(chan struct{}, 1)} }

// DownloadBackup implements outboundv1.BackupServiceServer. That a backup was taken, and by whom, is a revision of `backups`.
func (b *Backups) DownloadBackup(q *outboundv1.DownloadBackupRequest, stream outboundv1.BackupService_DownloadBackupServer) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	default:
		return rpc.Unavailable("another backup is being taken: try again once it has ended")
	}
	ctx := stream.Context()
	began := time.Now()
	if err := b.note(ctx); err != nil {
		return err
	}
	header, err := b.header(ctx, q.GetDeliveries(), began)
	if err != nil {
		return store.AsStatus(ctx, err)
	}
	out := &sender{stream: stream, sum: sha256.New()}
	m, err := backup.Take(ctx, b.deps.Bus, backup.Options{Header: header, Began: out.began}, out)
	if err == nil {
		err = out.flush()
	}
	if err != nil {
		b.deps.Logger.ErrorContext(ctx, "backup failed", telemetry.KeyError, err.Error())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return rpc.Unavailable(fmt.Sprintf("the backup failed: %v", err))
	}
	b.deps.Logger.InfoContext(ctx, "backup taken", logkey.Actor, rpc.Actor(ctx),
		logkey.Bytes, out.size, logkey.Duration, time.Since(began).String())
	return stream.Send(&outboundv1.DownloadBackupResponse{Summary: summary(m, out)})
}

// note records who takes a backup.
func (b *Backups) note(ctx context.Context) error {
	_, err := b.deps.Parts.ChangeAs(ctx, store.KeyBackups, store.ChangeNote{Action: store.ActionBackedUp},
		func(*outboundv1.WatchSettingsResponse, uint64) error { return nil })
	return err
}

func (b *Backups) header(ctx context.Context, deliveries bool, now time.Time) (backup.Header, error) {
	h := backup.Header{Version: process.Version(), CreateTime: now.UTC(), Deliveries: deliveries}
	all, err := b.deps.Recipients.List(ctx)
	if err != nil {
		return h, err
	}
	for _, r := range all {
		if len(r.GetSealedSecrets()) > 0 {
			h.Sealed = append(h.Sealed, "recipients/"+r.ID())
		}
	}
	smtp, _, err := b.deps.Parts.Get(ctx, store.KeySMTP)
	if err != nil {
		return h, err
	}
	if len(smtp.GetSealedSmtpPassword())+len(smtp.GetSealedSmtpSecrets()) > 0 {
		h.Sealed = append(h.Sealed, "settings/smtp")
	}
	h.SealCheck, err = b.deps.Sealer.SealByRoot([]byte(backup.SealPlace), backup.SealPlace)
	return h, err
}

func summary(m backup.Manifest, out *sender) *outboundv1.BackupSummary {
	s := &outboundv1.BackupSummary{
		CreateTime: timestamppb.New(m.CreateTime), Version: m.Version, Deliveries: m.Deliveries, SizeBytes: out.size,
		Sha256: hex.EncodeToString(out.sum.Sum(nil)), EventsSequence: m.EventsSequence, Sealed: m.Sealed,
	}
	for _, p := range m.Parts {
		s.Parts = append(s.Parts, &outboundv1.BackupPart{
			Name: p.Name, Messages: int64(p.Messages), Bytes: int64(p.Bytes), FileBytes: p.FileBytes, Consumers: int32(p.Consumers),
		})
	}
	return s
}

// sendBytes is how much of the file goes into one message.
const sendBytes = 256 << 10

// sender sends what is written to it.
type sender struct {
	stream outboundv1.BackupService_DownloadBackupServer
	part   backup.Part
	held   bytes.Buffer
	sum    hash.Hash
	size   int64
}

func (s *sender) began(p backup.Part) { s.part = p }

// Write implements io.Writer.
func (s *sender) Write(b []byte) (int, error) {
	_, _ = s.sum.Write(b)
	s.size += int64(len(b))
	_, _ = s.held.Write(b)
	for s.held.Len() >= sendBytes {
		if err := s.send(s.held.Next(sendBytes)); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (s *sender) flush() error {
	if s.held.Len() == 0 {
		return nil
	}
	return s.send(s.held.Next(s.held.Len()))
}

func (s *sender) send(b []byte) error {
	// What is sent is kept by the stream, while the buffer is written to again.
	return s.stream.Send(&outboundv1.DownloadBackupResponse{
		Data: bytes.Clone(b), Part: s.part.Name, PartMessages: int64(s.part.Messages), PartBytes: int64(s.part.Bytes),
	})
}
