package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/tlog"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
	"github.com/outbound-events/outbound/services/history/internal/verify"
)

// busyFor is after how long a caller may try again while a verification runs.
const busyFor = 5 * time.Second

// VerifyDeliveries verifies the log.
func (d *deliveriesServer) VerifyDeliveries(
	req *outboundv1.VerifyDeliveriesRequest, stream outboundv1.DeliveryService_VerifyDeliveriesServer,
) error {
	q := verify.Request{HeadNumber: req.GetHeadNumber(), HeadHash: req.GetHeadHash(), Progress: func(r verify.Result) error {
		return stream.Send(&outboundv1.VerifyDeliveriesResponse{Records: r.Records, Sequence: r.Last})
	}}
	if req.GetSince() != nil {
		q.Since = req.GetSince().AsTime()
	}
	r, err := d.verifier.Verify(stream.Context(), q)
	if errors.Is(err, verify.ErrBusy) {
		return rpc.Limited("VERIFYING", "a verification of the delivery log is running: try again when it has ended", busyFor)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, rpc.Unavailable("the delivery log can't be read at the moment: try again"))
	}
	out := &outboundv1.DeliveryVerification{
		OmittedFaults: r.Omitted, Records: r.Records, ChainedRecords: r.Chained, CoveredRecords: r.Covered, FirstSequence: r.First,
		LastSequence: r.Last, FirstCoveredSequence: r.CoveredFirst, LastCoveredSequence: r.CoveredLast, Checkpoints: r.Checkpoints,
		HeadNumber: r.HeadNumber, HeadHash: r.HeadHash, Key: d.key(), Notes: r.Notes,
	}
	if !r.HeadTime.IsZero() {
		out.HeadTime = timestamppb.New(r.HeadTime)
	}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, &outboundv1.DeliveryLogFault{Kind: f.Kind, Sequence: f.Sequence, LastSequence: max(f.Until, f.Sequence),
			Checkpoint: f.Checkpoint, Record: f.What, RecipientId: protofield.Text(f.Recipient), EventId: protofield.Text(f.Event),
			Text: protofield.Text(f.Text)})
	}
	return stream.Send(&outboundv1.VerifyDeliveriesResponse{Records: r.Records, Sequence: r.Last, Result: out})
}

// key is the verifier key of the checkpoints; empty: none are made.
func (d *deliveriesServer) key() string {
	if d.verifier.Keys == nil {
		return ""
	}
	return d.verifier.Keys.Public()
}

// GetCheckpointKey returns the verifier key of the checkpoints.
func (d *deliveriesServer) GetCheckpointKey(
	context.Context, *outboundv1.GetCheckpointKeyRequest,
) (*outboundv1.CheckpointKey, error) {
	return &outboundv1.CheckpointKey{Key: d.key()}, nil
}

// ProveDelivery makes a receipt of a delivery.
func (d *deliveriesServer) ProveDelivery(ctx context.Context, req *outboundv1.ProveDeliveryRequest) (*outboundv1.DeliveryReceipt, error) {
	if d.verifier.Keys == nil {
		return nil, rpc.FailedPrecondition("NO_CHECKPOINTS", "no checkpoints are made: set checkpointKey of the history service")
	}
	sequences, err := d.detail.Sequences(ctx, req)
	if err != nil {
		return nil, err
	}
	records, err := d.verifier.Prove(ctx, sequences)
	switch {
	case errors.Is(err, verify.ErrNotCovered):
		return nil, rpc.FailedPrecondition("NOT_COVERED", err.Error()+": try again after the next checkpoint, in a minute")
	case errors.Is(err, verify.ErrNotTheSame):
		return nil, rpc.FailedPrecondition("NOT_THE_SAME", err.Error()+": see what else was changed: outbound verify")
	case errors.Is(err, verify.ErrGone):
		return nil, rpc.FailedPrecondition("GONE", err.Error())
	case err != nil:
		return nil, err
	}
	raw, err := json.MarshalIndent(tlog.Receipt{Format: tlog.ReceiptFormat, Recipient: req.GetRecipientId(), Event: req.GetEventId(),
		Replay: req.GetReplayId(), Key: d.key(), Records: records}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("make a receipt: %w", err)
	}
	return &outboundv1.DeliveryReceipt{Receipt: string(raw)}, nil
}
