// Package audits serves the audit log.
package audits

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Deps are what the audit log is served with.
type Deps struct {
	Log *auditlog.Log
	// Notices take that the log is nearly full. Nil: nobody is told.
	Notices *notice.Board
	Logger  *slog.Logger
	// Options say where entries are sent on to.
	Options Options
	// Hold returns nil if this process, and no other, may send entries on now. Nil: there is no other.
	Hold func(ctx context.Context) error
}

// Audits implements outboundv1.AuditServiceServer.
type Audits struct {
	outboundv1.UnimplementedAuditServiceServer
	Deps
	sinks map[string]sink
}

// New returns the service. Its error is that of an option.
func New(d Deps) (*Audits, error) {
	to, err := sinks(d.Options)
	if err != nil {
		return nil, err
	}
	return &Audits{Deps: d, sinks: to}, nil
}

const (
	// noteEvery is how often the end of the log is noted outside of it.
	noteEvery = time.Second
	// warnFill is from when people are told that the log fills up.
	warnFill    = 0.8
	noticeAudit = "audit"
)

// Run notes the end of the log outside of it, so that a verification knows whether entries at the end are missing, and sends entries on,
// until ctx ends.
func (s *Audits) Run(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	for name, to := range s.sinks {
		sending.Go(func() { forwarder{name: name, log: s.Log, to: to, notices: s.Notices, hold: s.Hold}.run(ctx) })
	}
	for ctx.Err() == nil {
		if _, err := s.Log.Note(ctx); err != nil && ctx.Err() == nil {
			s.Logger.DebugContext(ctx, "the end of the audit log was not noted, retrying", telemetry.KeyError, err.Error())
		}
		if fill, err := s.Log.Fill(ctx); err == nil {
			text := ""
			if fill >= warnFill {
				text = fmt.Sprintf("The audit log is %.0f%% full. When it is full, changes are refused. Export it (outbound audit export) and raise "+
					"streams.auditMaxBytes, or lower streams.auditMaxAge.", fill*100)
			}
			s.Notices.Set(noticeAudit, text)
		}
		pause.For(ctx, noteEvery)
	}
}

const (
	defaultPage = 50
	// maxScan bounds how many entries a call reads.
	maxScan = 20_000
)

// ListAuditEntries implements outboundv1.AuditServiceServer.
func (s *Audits) ListAuditEntries(
	ctx context.Context, q *outboundv1.ListAuditEntriesRequest,
) (*outboundv1.ListAuditEntriesResponse, error) {
	before := uint64(0)
	if q.GetPageToken() != "" {
		var err error
		if before, err = strconv.ParseUint(q.GetPageToken(), 10, 64); err != nil || before == 0 {
			return nil, rpc.InvalidArgument(rpc.Violation{Field: "pageToken", Reason: "INVALID",
				Description: "is not valid for this list: leave it empty for the first page"})
		}
	}
	f := filter{since: q.GetSince(), until: q.GetUntil(), actor: q.GetActor(), action: q.GetAction(), object: q.GetObject(),
		outcome: q.GetOutcome(), address: q.GetAddress()}
	size := int(q.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	out := &outboundv1.ListAuditEntriesResponse{}
	read := 0
	err := s.Log.Back(ctx, before, func(e audit.Stored) bool {
		if len(out.GetEntries()) == size || read == maxScan {
			out.NextPageToken = strconv.FormatUint(e.Sequence+1, 10)
			return false
		}
		read++
		if f.since != nil && e.Time.Before(f.since.AsTime()) && !e.Time.IsZero() {
			return false
		}
		if f.wants(e) {
			out.Entries = append(out.Entries, encode(e))
		}
		return true
	})
	return out, unavailable(err)
}

// ExportAudit implements outboundv1.AuditServiceServer.
func (s *Audits) ExportAudit(q *outboundv1.ExportAuditRequest, stream grpc.ServerStreamingServer[outboundv1.ExportAuditResponse]) error {
	in := q.GetFilter()
	f := filter{since: in.GetSince(), until: in.GetUntil(), actor: in.GetActor(), action: in.GetAction(), object: in.GetObject(),
		outcome: in.GetOutcome(), address: in.GetAddress()}
	// What is known beside the entries is read first: the log may grow meanwhile.
	end, err := s.Log.End(stream.Context())
	if err != nil {
		return unavailable(err)
	}
	err = s.Log.Each(stream.Context(), 1, func(e audit.Stored) (bool, error) {
		if !f.wants(e) {
			return true, nil
		}
		return true, stream.Send(&outboundv1.ExportAuditResponse{Entry: string(e.Raw), Hash: e.Hash, Sequence: e.Sequence})
	})
	if err != nil {
		return unavailable(err)
	}
	last := &outboundv1.AuditEnd{LastSequence: end.Sequences, KeptSeconds: uint64(end.Kept / time.Second), Time: timestamppb.New(end.Now)}
	if end.Head != nil {
		last.NotedNumber, last.NotedHash = end.Head.Number, end.Head.Hash
	}
	return stream.Send(&outboundv1.ExportAuditResponse{End: last})
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", err, rpc.Unavailable("the audit log can't be read at the moment: try again"))
}

// RecordSession implements outboundv1.AuditServiceServer: the entry is that of this call.
func (s *Audits) RecordSession(ctx context.Context, q *outboundv1.RecordSessionRequest) (*emptypb.Empty, error) {
	t := audit.TrailFrom(ctx)
	object := ""
	if q.GetName() != "" {
		object = "users/" + q.GetName()
	}
	switch q.GetKind() {
	case outboundv1.RecordSessionRequest_SIGNED_IN:
		t.About("session.sign-in", object, q.GetName())
	case outboundv1.RecordSessionRequest_REFUSED:
		t.About("session.sign-in", object, q.GetName())
		t.Denied(q.GetMethod() + ": " + q.GetReason())
	case outboundv1.RecordSessionRequest_SIGNED_OUT:
		t.About("session.sign-out", object, q.GetName())
	case outboundv1.RecordSessionRequest_KIND_UNSPECIFIED:
	}
	return &emptypb.Empty{}, nil
}

// filter selects entries.
type filter struct {
	since, until                            *timestamppb.Timestamp
	actor, action, object, outcome, address string
}

// wants reports whether an entry is selected. One that can't be read always is.
func (f filter) wants(e audit.Stored) bool {
	if e.Number == 0 {
		return true
	}
	return (f.since == nil || !e.Time.Before(f.since.AsTime())) && (f.until == nil || e.Time.Before(f.until.AsTime())) &&
		(f.actor == "" || f.actor == e.Actor) && within(e.Action, f.action, ".") && within(e.Object, f.object, "/") &&
		(f.outcome == "" || f.outcome == e.Outcome) && (f.address == "" || f.address == e.Address)
}

// within reports whether a value is one, or is below it.
func within(value, one, separator string) bool {
	one = strings.TrimSuffix(one, separator)
	return one == "" || value == one || strings.HasPrefix(value, one+separator)
}

func encode(e audit.Stored) *outboundv1.AuditEntry {
	out := &outboundv1.AuditEntry{
		Number: e.Number, Time: timestamppb.New(e.Time), Action: e.Action, Object: e.Object, Outcome: e.Outcome, Reason: e.Reason,
		Actor: e.Actor, Role: e.Role, Address: e.Address, Via: e.Via, Agent: e.Agent, Request: string(e.Request), LeftOut: e.LeftOut,
		Hash: e.Hash, PreviousHash: e.Previous,
	}
	for _, c := range e.Changes {
		out.Changes = append(out.Changes, &outboundv1.AuditChange{Resource: c.Resource, Path: c.Path, Before: c.Before, After: c.After})
	}
	for _, r := range e.Revisions {
		out.Revisions = append(out.Revisions, &outboundv1.AuditRevision{Resource: r.Resource, Revision: r.Revision})
	}
	return out
}
