package config_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestAnAppliancesNameAndAlarmChangeAndItsCredentialsStay(t *testing.T) {
	h := start(t)
	made, err := h.settings.CreateAppliance(h.ctx(),
		&outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a1", DisplayName: "One"}})
	if err != nil {
		t.Fatal(err)
	}
	before, err := h.settings.GetAppliance(h.ctx(), &outboundv1.GetApplianceRequest{Id: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	update := func(a *outboundv1.Appliance, paths ...string) (*outboundv1.Appliance, error) {
		q := &outboundv1.UpdateApplianceRequest{Appliance: a}
		if len(paths) > 0 {
			q.UpdateMask = mask(paths...)
		}
		return h.settings.UpdateAppliance(h.ctx(), q)
	}
	got, err := update(&outboundv1.Appliance{Id: "a1", SilentAfter: durationpb.New(time.Hour)}, "silent_after")
	if err != nil || got.GetSilentAfter().AsDuration() != time.Hour || got.GetDisplayName() != "One" ||
		got.GetEtag() == before.GetEtag() || got.GetEtag() == "" {
		t.Fatalf("changed to %v (%v)", got, err)
	}
	got, err = update(&outboundv1.Appliance{Id: "a1", DisplayName: " Two "}, "display_name")
	if err != nil || got.GetSilentAfter().AsDuration() != time.Hour || got.GetDisplayName() != "Two" ||
		!got.GetCreateTime().AsTime().Equal(before.GetCreateTime().AsTime()) {
		t.Fatalf("changed to %v (%v)", got, err)
	}
	stream, err := h.watcher.WatchSettings(h.ctx(), &outboundv1.WatchSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for told := false; !told; { // an error if it never is
		all, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		told = holds(made)(all) && all.GetAppliances()[0].GetPasswordBcrypt() != "" &&
			all.GetAppliances()[0].GetAppliance().GetDisplayName() == "Two"
	}
	_, err = update(&outboundv1.Appliance{Id: "a1", Etag: before.GetEtag(), DisplayName: "Three"}, "display_name")
	wantCode(t, err, codes.Aborted)
	_, err = update(&outboundv1.Appliance{Id: "a1", SilentAfter: durationpb.New(time.Second)}, "silent_after")
	wantFields(t, err, "silentAfter")
	_, err = update(&outboundv1.Appliance{Id: "a1", SilentAfter: durationpb.New(8 * 24 * time.Hour), DisplayName: strings.Repeat("a", 1000)})
	wantFields(t, err, "silentAfter", "displayName")
	_, err = update(&outboundv1.Appliance{Id: "a1", DisplayName: "a\x01"})
	wantFields(t, err, "appliance.displayName")
	_, err = update(&outboundv1.Appliance{Id: "a2"}, "display_name")
	wantCode(t, err, codes.NotFound)
	_, err = update(&outboundv1.Appliance{Id: "a b"}, "display_name")
	wantCode(t, err, codes.NotFound)
	if got, err = update(&outboundv1.Appliance{Id: "a1"}, "silent_after"); err != nil || got.GetSilentAfter() != nil {
		t.Errorf("never told: %v (%v)", got, err)
	}
}

// A script adds an appliance and writes the broker's accounts right after: the accounts hold it.
func TestAWatchBeginsWithWhatIsStored(t *testing.T) {
	h := start(t)
	for i := range 30 {
		id := fmt.Sprint("a", i)
		_, err := h.settings.CreateAppliance(h.ctx(), &outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: id}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(h.ctx())
		stream, err := h.watcher.WatchSettings(ctx, &outboundv1.WatchSettingsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(all.GetAppliances()); n != i+1 {
			t.Errorf("a watch begins with %d appliances of %d", n, i+1)
		}
		cancel()
	}
}

func TestAnAppliancesLimitsChange(t *testing.T) {
	h := start(t)
	_, err := h.settings.CreateAppliance(h.ctx(),
		&outboundv1.CreateApplianceRequest{Appliance: &outboundv1.Appliance{Id: "a1", DisplayName: "One"}})
	if err != nil {
		t.Fatal(err)
	}
	update := func(a *outboundv1.Appliance, paths ...string) (*outboundv1.Appliance, error) {
		return h.settings.UpdateAppliance(h.ctx(), &outboundv1.UpdateApplianceRequest{Appliance: a, UpdateMask: mask(paths...)})
	}
	limits := []string{"max_events_per_second", "max_bytes_per_second"}
	got, err := update(&outboundv1.Appliance{Id: "a1", MaxEventsPerSecond: 5, MaxBytesPerSecond: 1 << 20}, limits...)
	if err != nil || got.GetMaxEventsPerSecond() != 5 || got.GetMaxBytesPerSecond() != 1<<20 || got.GetDisplayName() != "One" {
		t.Fatalf("changed to %v (%v)", got, err)
	}
	_, err = update(&outboundv1.Appliance{Id: "a1", MaxEventsPerSecond: -1, MaxBytesPerSecond: 1}, limits...)
	wantFields(t, err, "maxEventsPerSecond", "maxBytesPerSecond")
}
