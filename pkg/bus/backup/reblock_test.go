package backup_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/outbound-events/outbound/pkg/bus/backup"
)

// sizes collects what is written, and how much each write brings.
type sizes struct {
	bytes.Buffer

	writes int
}

func (s *sizes) Write(b []byte) (int, error) {
	s.writes++
	return s.Buffer.Write(b)
}

// Thousands of small records compress to little. A broker that syncs each must be told of few at once, or it gives the restore up.
func TestARestoreBringsFewRecordsWithEachMessage(t *testing.T) {
	records := strings.Repeat(`{"state":"DELIVERED","attempt":1}`, 100_000)
	var snapshot bytes.Buffer
	w := s2.NewWriter(&snapshot)
	_, err := io.WriteString(w, records)
	if err == nil {
		err = w.Close()
	}
	var got sizes
	if err == nil {
		err = backup.Reblock(&got, &snapshot)
	}
	if err != nil {
		t.Fatal(err)
	}
	if least := len(records) / (4 << 10); got.writes < least {
		t.Errorf("%d bytes of records are brought by %d messages, want %d and more", len(records), got.writes, least)
	}
	if all, err := io.ReadAll(s2.NewReader(&got.Buffer)); err != nil || string(all) != records {
		t.Errorf("%d bytes came of %d: %v", len(all), len(records), err)
	}
	if err := backup.Reblock(io.Discard, strings.NewReader("no snapshot")); err == nil {
		t.Error("a snapshot that is none is taken")
	}
}
