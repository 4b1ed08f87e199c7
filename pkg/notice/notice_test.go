package notice_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/notice"
)

func TestABoardHoldsTheLatestTextOfEachKeyAndLogsChangesAlone(t *testing.T) {
	var log strings.Builder
	b := notice.NewBoard(slog.New(slog.NewTextHandler(&log, nil)))
	b.Set("disk", "The disk is full.")
	b.Set("disk", "The disk is full.")
	b.Set("clock", "The clock is wrong.")
	b.Clear("absent")
	if got, want := b.All(), []string{"The clock is wrong.", "The disk is full."}; !slices.Equal(got, want) {
		t.Errorf("the board holds %q, want %q", got, want)
	}
	b.Set("disk", "The disk is nearly full.")
	b.Clear("clock")
	if got, want := b.All(), []string{"The disk is nearly full."}; !slices.Equal(got, want) {
		t.Errorf("the board holds %q, want %q", got, want)
	}
	if n := strings.Count(log.String(), "\n"); n != 4 {
		t.Errorf("%d lines are logged, want 4:\n%s", n, log.String())
	}
}

func TestNilTakesAndHoldsNothing(t *testing.T) {
	var b *notice.Board
	b.Set("disk", "The disk is full.")
	b.Clear("disk")
	if got := b.All(); len(got) != 0 {
		t.Errorf("a nil board holds %q", got)
	}
}
