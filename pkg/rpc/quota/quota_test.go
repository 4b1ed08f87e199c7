package quota_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/rpc/quota"
	v1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// used is what callers got that ask again as soon as they are answered.
type used struct {
	mu      sync.Mutex
	calls   map[string]int
	refused int
	ran     time.Duration
	atOnce  int
}

// ask has callers call a method for a minute, each call running for d.
func ask(t *testing.T, o quota.Options, method string, d time.Duration, callers ...string) *used {
	t.Helper()
	q, u := quota.New(o), &used{calls: map[string]int{}}
	var running atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for _, name := range callers {
		all.Go(func() {
			for ctx.Err() == nil {
				release, err := q.Call(ctx, method, name)
				if err != nil {
					var exceeded *quota.Exceeded
					if ctx.Err() == nil && (!errors.As(err, &exceeded) || exceeded.Wait <= 0) {
						t.Errorf("refused with %v", err)
					}
					u.mu.Lock()
					u.refused++
					u.mu.Unlock()
					continue
				}
				n := int(running.Add(1))
				time.Sleep(d)
				running.Add(-1)
				release()
				u.mu.Lock()
				u.calls[name]++
				u.ran += d
				u.atOnce = max(u.atOnce, n)
				u.mu.Unlock()
			}
		})
	}
	all.Wait()
	return u
}

// However many viewers test filters at once, what they have run is a small part of the time, and each gets its part of it.
func TestFilterTestsRunInAPartOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ask(t, quota.DefaultOptions(), v1.RecipientService_TestFilter_FullMethodName, 200*time.Millisecond, "a", "b", "c", "d")
		if u.ran > 10*time.Second || u.ran < 6*time.Second || u.atOnce != 1 {
			t.Errorf("ran %s of a minute, %d at once, want a tenth and what was saved, one at a time", u.ran, u.atOnce)
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			if u.calls[name] < 5 {
				t.Errorf("%s got %d of %v", name, u.calls[name], u.calls)
			}
		}
		// A caller that repeats a refused call at once is slowed down: it waited before.
		if u.refused > 60 {
			t.Errorf("%d calls were refused in a minute", u.refused)
		}
	})
}

func TestACallerIsLimitedAndTheOthersAreNot(t *testing.T) {
	for method, o := range map[string]quota.Options{
		v1.RecipientService_PreviewRecipient_FullMethodName: {PreviewsPerMinute: 60},
		v1.DeliveryService_ListDeliveries_FullMethodName:    {SearchesPerMinute: 60},
		v1.SettingsService_SendTestEmail_FullMethodName:     {TestsPerMinute: 60},
	} {
		t.Run(method[strings.LastIndex(method, "/")+1:], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := quota.DefaultOptions()
				all.PreviewsPerMinute, all.SearchesPerMinute = max(1, o.PreviewsPerMinute), max(1, o.SearchesPerMinute)
				all.TestsPerMinute = max(1, o.TestsPerMinute)
				u := ask(t, all, method, time.Millisecond, "a")
				if n := u.calls["a"]; n < 60 || n > 95 {
					t.Errorf("%d calls in a minute, want 60 and a burst", n)
				}
			})
		})
	}
}

func TestCallsBeyondThePlacesOfACallerAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quota.DefaultOptions()
		o.FilterTestShare = 100
		q := quota.New(o)
		method := v1.RecipientService_TestFilter_FullMethodName
		release, err := q.Call(t.Context(), method, "a")
		if err != nil {
			t.Fatal(err)
		}
		var refused atomic.Int64
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := q.Call(t.Context(), method, "a"); err != nil && time.Since(began) == 0 {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if n := refused.Load(); n != 13 {
			t.Errorf("%d of 20 were refused at once, want all but those that have the 7 places left", n)
		}
		all.Wait()
		release()
		if _, err := q.Call(t.Context(), method, "a"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestOtherCallsAreNotLimited(t *testing.T) {
	q := quota.New(quota.DefaultOptions())
	for range 10_000 {
		if _, err := q.Call(t.Context(), v1.EventService_PublishEvent_FullMethodName, "a"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStreamsAreCountedForEachCallerAndForAll(t *testing.T) {
	o := quota.DefaultOptions()
	o.StreamsPerCaller, o.Streams = 2, 5
	q := quota.New(o)
	var releases []func()
	for i, want := range []bool{true, true, false, true, true, false, true, false, false} {
		release, err := q.Stream(fmt.Sprint(i / 3))
		if (err == nil) != want {
			t.Errorf("%d: %v", i, err)
		}
		if err == nil {
			releases = append(releases, release)
		}
	}
	for _, release := range releases {
		release()
		release() // twice is once
	}
	if _, err := q.Stream("x"); err != nil {
		t.Error(err)
	}
}

func TestOptionsOutOfRangeAreNamed(t *testing.T) {
	err := quota.Options{}.Validate()
	for _, name := range []string{"streamsPerConnection", "streamsPerCaller", "streams", "requestTimeout",
		"previewsPerMinute", "filterTestShare",
		"searchesPerMinute", "searches", "testsPerMinute"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if err := quota.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
}
