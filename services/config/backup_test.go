package config_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus/backup"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// download reads a backup to its end.
func (h *fixture) download(deliveries bool) ([]byte, *outboundv1.BackupSummary, error) {
	h.t.Helper()
	stream, err := h.backups.DownloadBackup(h.ctx(), &outboundv1.DownloadBackupRequest{Deliveries: deliveries})
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	var end *outboundv1.BackupSummary
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.Bytes(), end, nil
		}
		if err != nil {
			return nil, nil, err
		}
		_, _ = out.Write(m.GetData())
		end = m.GetSummary()
	}
}

func TestABackupHoldsSealedSecretsAlone(t *testing.T) {
	h := start(t)
	r := httpRecipient("CRM")
	r.GetHttp().Auth = basic("u", canaryPassword)
	h.create(r)
	h.create(httpRecipient("Open " + inTheClear))
	if _, err := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{
		Host: "mail.example.com", Port: 25, Encryption: outboundv1.SmtpSettings_Encryption_STARTTLS, Auth: outboundv1.SmtpSettings_Auth_PLAIN,
		Username: "u",
		Password: canaryRelay, FromAddress: "outbound@example.com"}}); err != nil {
		t.Fatal(err)
	}
	raw, end, err := h.download(true)
	sum := sha256.Sum256(raw)
	if err != nil || end.GetSizeBytes() != int64(len(raw)) || end.GetSha256() != hex.EncodeToString(sum[:]) || len(end.GetParts()) != 9 {
		t.Fatalf("%d bytes with the summary %v, %v", len(raw), end, err)
	}
	if want := []string{"recipients/crm", "settings/smtp"}; !slices.Equal(end.GetSealed(), want) {
		t.Errorf("sealed are %v, want %v", end.GetSealed(), want)
	}
	path := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := backup.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := h.sealer.Open(f.SealCheck, backup.SealPlace); err != nil || string(plain) != backup.SealPlace {
		t.Errorf("the key of the system is not known by the backup: %v", err)
	}
	// The broker's compression leaves a text that it meets first as it is.
	if !bytes.Contains(raw, []byte(inTheClear)) {
		t.Error("the recipient's name was not found: secrets are looked for in vain")
	}
	for _, canary := range []string{canaryPassword, canaryRelay} {
		if bytes.Contains(raw, []byte(canary)) {
			t.Errorf("the backup shows %s", canary)
		}
	}
}

// inTheClear is part of a name, which is no secret.
const inTheClear = "Zq8Xk3Wv"

func TestABackupIsARevision(t *testing.T) {
	h := start(t)
	if _, end, err := h.download(false); err != nil || len(end.GetParts()) != 3 || end.GetDeliveries() {
		t.Fatalf("%v, %v", end, err)
	}
	list, err := h.settings.ListRevisions(h.ctx(), &outboundv1.ListRevisionsRequest{Resource: "backups"})
	if err != nil || len(list.GetRevisions()) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	r := list.GetRevisions()[0]
	if r.GetActor() != "admin" || r.GetAction() != "backed up" || r.GetResource() != "backups" || len(r.GetChanges()) > 0 {
		t.Errorf("the revision is %v", r)
	}
	_, err = h.settings.RollBack(h.ctx(), &outboundv1.RollBackRequest{Resource: "backups", Revision: r.GetRevision()})
	wantCode(t, err, codes.FailedPrecondition)
}
