package config_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// audits calls as the admin token.
func (h *fixture) audits() outboundv1.AuditServiceClient {
	return outboundv1.NewAuditServiceClient(rpc.ActingFor(h.conn, rpc.Principal{Role: rpc.RoleAdmin, Name: "auditor"}))
}

// entries are all that a filter selects, newest first.
func (h *fixture) entries(q *outboundv1.ListAuditEntriesRequest) []*outboundv1.AuditEntry {
	h.t.Helper()
	var out []*outboundv1.AuditEntry
	q.PageSize = 7
	for {
		page, err := h.audits().ListAuditEntries(h.ctx(), q)
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, page.GetEntries()...)
		if q.PageToken = page.GetNextPageToken(); q.GetPageToken() == "" {
			return out
		}
	}
}

// verify reads all entries as they are hashed and compares them with each other.
func (h *fixture) verify() audit.Result {
	h.t.Helper()
	stream, err := h.audits().ExportAudit(h.ctx(), &outboundv1.ExportAuditRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	v := audit.NewVerifier()
	for {
		m, err := stream.Recv()
		if err != nil {
			h.t.Fatal(err)
		}
		if e := m.GetEnd(); e != nil {
			return v.End(audit.End{Head: &audit.Head{Number: e.GetNotedNumber(), Hash: e.GetNotedHash()}, Sequences: e.GetLastSequence(),
				Now: e.GetTime().AsTime()})
		}
		v.Next([]byte(m.GetEntry()), m.GetHash(), m.GetSequence())
	}
}

// removeStream removes a stream as somebody else would.
func (h *fixture) removeStream(name string) {
	h.t.Helper()
	nc, err := nats.Connect(h.broker.URL())
	if err != nil {
		h.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		err = js.DeleteStream(h.ctx(), name)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestEachChangeHasAnEntryWithBeforeAndAfter(t *testing.T) {
	h := start(t)
	made := h.create(httpRecipient("CRM"))
	const changes = 80
	for i := range changes {
		made.DisplayName = fmt.Sprintf("CRM %d", i)
		_, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: &outboundv1.Recipient{Id: made.GetId(),
			DisplayName: made.GetDisplayName()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := h.entries(&outboundv1.ListAuditEntriesRequest{Object: "recipients/" + made.GetId()})
	if len(got) != changes+1 {
		t.Fatalf("%d entries of %d changes", len(got), changes+1)
	}
	first, last := got[changes], got[0]
	if first.GetAction() != "recipient.create" || first.GetActor() != "admin" || first.GetRole() != "admin" || first.GetOutcome() != "OK" ||
		len(first.GetRevisions()) != 1 || len(first.GetChanges()) == 0 || first.GetTime() == nil {
		t.Errorf("first %v", first)
	}
	c := last.GetChanges()
	if last.GetAction() != "recipient.update" || len(c) != 1 || c[0].GetPath() != "displayName" || c[0].GetBefore() != `"CRM 78"` ||
		c[0].GetAfter() != `"CRM 79"` {
		t.Errorf("last %v", last)
	}
	if r := h.verify(); len(r.Faults) > 0 || r.Entries < changes+1 {
		t.Errorf("verified %+v", r)
	}
}

func TestSignInsAndRefusalsHaveEntries(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "olga", Password: password})
	if _, err := h.signIn("olga", password); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"olga", "nobody", "My Secret Passphrase"} {
		if _, err := h.signIn(name, "wrong"); err == nil {
			t.Fatal("signed in")
		}
	}
	viewer := rpc.Principal{Role: rpc.RoleViewer, Name: "vera"}
	_, err := h.accessAs(viewer).DeleteUser(h.ctx(), &outboundv1.DeleteUserRequest{Name: "olga"})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	if _, err := h.accessAs(viewer).ListTokens(h.ctx(), &outboundv1.ListTokensRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	if _, err := h.access().DeleteUser(h.ctx(), &outboundv1.DeleteUserRequest{Name: "none"}); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	for what, x := range map[string]struct {
		q    *outboundv1.ListAuditEntriesRequest
		want int
	}{
		"sign-in":  {&outboundv1.ListAuditEntriesRequest{Action: "session", Outcome: "OK", Actor: "olga"}, 1},
		"failures": {&outboundv1.ListAuditEntriesRequest{Action: "session.sign-in", Outcome: "DENIED"}, 3},
		"of olga":  {&outboundv1.ListAuditEntriesRequest{Action: "session.sign-in", Outcome: "DENIED", Object: "users/olga"}, 1},
		"denied":   {&outboundv1.ListAuditEntriesRequest{Action: "user.delete", Outcome: "DENIED"}, 1},
		"a read":   {&outboundv1.ListAuditEntriesRequest{Object: "AccessService/ListTokens", Outcome: "DENIED"}, 1},
		"refused":  {&outboundv1.ListAuditEntriesRequest{Action: "user.delete", Outcome: "REFUSED", Actor: "ada"}, 1},
		"users":    {&outboundv1.ListAuditEntriesRequest{Action: "user", Object: "users", Outcome: "OK"}, 1},
	} {
		if got := h.entries(x.q); len(got) != x.want {
			t.Errorf("%s: %d entries, want %d: %v", what, len(got), x.want, got)
		}
	}
	all, err := json.Marshal(h.entries(&outboundv1.ListAuditEntriesRequest{}))
	if err != nil || strings.Contains(string(all), "Passphrase") || strings.Contains(string(all), password) {
		t.Errorf("what was typed is in the log: %s, %v", all, err)
	}
}

func TestAFloodOfFailuresIsBoundedAndCounted(t *testing.T) {
	h := start(t)
	const calls = 120
	for range calls {
		_, err := h.access().DeleteUser(h.ctx(), &outboundv1.DeleteUserRequest{Name: "none"})
		if status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
	}
	h.user(&outboundv1.User{Name: "olga"})
	got := h.entries(&outboundv1.ListAuditEntriesRequest{})
	total, leftOut := 0, uint64(0)
	for _, e := range got {
		if e.GetOutcome() == "REFUSED" {
			total++
		}
		leftOut += e.GetLeftOut()
	}
	if total < 30 || total > 60 || uint64(total)+leftOut != calls || got[0].GetAction() != "user.create" {
		t.Errorf("of %d calls %d have entries, %d were left out", calls, total, leftOut)
	}
}

// TestNothingIsChangedThatCannotBeAudited takes the stream away.
func TestNothingIsChangedThatCannotBeAudited(t *testing.T) {
	h := start(t)
	made := h.create(httpRecipient("CRM"))
	h.removeStream("AUDIT")
	refused := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "audit") {
			t.Errorf("%s: %v", what, err)
		}
	}
	h.eventually("changes to be refused", func() bool {
		_, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: &outboundv1.Recipient{Id: made.GetId(),
			DisplayName: "CRM 2"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
		return err != nil
	})
	_, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: made.GetId()})
	refused("delete", err)
	_, err = h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("Other")})
	refused("create", err)
	_, err = h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{User: &outboundv1.User{Name: "olga"}})
	refused("user", err)
	all, err := h.admin.ListRecipients(h.ctx(), &outboundv1.ListRecipientsRequest{})
	if err != nil || len(all.GetRecipients()) != 1 {
		t.Errorf("read %v, %v", all, err)
	}
}
