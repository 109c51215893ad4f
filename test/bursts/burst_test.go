package bursts_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/test/internal/notes"
)

var writers = []int{6, 20, 200}

// Every write that is acknowledged is there, whatever the number of writers;
// up to Limits.Parallel of them, nothing passes the limits; a burst of more
// is healed by the next request that comes when it is over.
func TestParallelWriters(t *testing.T) {
	for _, platform := range middleware.Platforms() {
		for _, size := range sizes {
			for _, n := range writers {
				t.Run(fmt.Sprintf("%s/%d/%d", name(platform), size, n), func(t *testing.T) {
					parallelWriters(t, platform, size, n)
				})
			}
		}
	}
}

func parallelWriters(t *testing.T, platform middleware.Platform, size, n int) {
	site, clock := newSite(t, platform)
	limits, _ := platform.Limits()
	v := newVisitor(t, site)
	v.set("first", "f", 0) // there is a session, however little fits
	v.grow(size)
	v.settle(clock)
	v.checkAcked("before")
	done := v.burst(n, func(i int) (string, url.Values) {
		return "/set", setting(fmt.Sprintf("n%d", i), fmt.Sprintf("w%d", i), rand.IntN(20), some(10))
	})
	v.checkAcked("at once")
	most := site.Meter.Most()
	bounds := limits
	if n > limits.Parallel { // room is kept for no more
		bounds.RequestBytes, bounds.Cookies = most.RequestBytes, most.Cookies
	}
	within(t, most, bounds)
	v.heal(clock, limits)
	t.Logf("%d of %d done; %d cookies, %d bytes; %d fragments are left", done, n, most.Cookies, most.RequestBytes, v.pot.fragments())
}

// heal lets the burst be over and reads: few fragments are left then, or the
// next write is told by name which limit the state passes.
func (v *visitor) heal(clock *notes.Clock, limits middleware.Limits) {
	v.t.Helper()
	for range 3 { // a response may have room for some deletions only
		v.settle(clock)
		v.checkAcked("when it is over")
	}
	v.site.Meter.Reset()
	v.checkAcked("at the end")
	most, left := v.site.Meter.Most(), v.pot.fragments()
	if left > 4 || most.RequestBytes > limits.RequestBytes || most.Cookies > limits.Cookies {
		refused := v.set("one more", "heal", 100)
		require.Equal(v.t, notes.StatusTooLarge, refused.status,
			"%d fragments, %d bytes and %d cookies are left, and a write is taken", left, most.RequestBytes, most.Cookies)
	}
}

// A steady stream of writers, never more than Limits.Parallel at once, each
// with the cookies of its moment: nothing passes the limits at any time.
func TestStreamOfWriters(t *testing.T) {
	for _, platform := range middleware.Platforms() {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d", name(platform), size), func(t *testing.T) {
				streamOfWriters(t, platform, size)
			})
		}
	}
}

func streamOfWriters(t *testing.T, platform middleware.Platform, size int) {
	site, clock := newSite(t, platform)
	limits, _ := platform.Limits()
	v := newVisitor(t, site)
	v.set("first", "f", 0) // there is a session, however little fits
	v.grow(size)
	errs := make(chan error, 60)
	free := make(chan struct{}, limits.Parallel)
	for i := range 60 {
		free <- struct{}{}
		go func() {
			defer func() { <-free }()
			name := fmt.Sprintf("n%d", i%15) // some are written twice, by one after the other
			a, err := v.send(site, "POST", "/set", setting(name, fmt.Sprintf("w%d", i), rand.IntN(60), some(10)), v.pot.header())
			time.Sleep(some(5))
			if err == nil {
				v.pot.apply(a.lines)
				err = a.fault()
			}
			errs <- err
			v.note(a)
		}()
		if i%15 == 14 {
			for range limits.Parallel { // so that no two write one name at once
				free <- struct{}{}
			}
			for range limits.Parallel {
				<-free
			}
			clock.Move(some(4000))
		}
	}
	for range 60 {
		require.NoError(t, <-errs)
	}
	v.checkAcked("after the stream")
	within(t, site.Meter.Most(), limits)
	v.heal(clock, limits)
}

// within compares what was measured with the limits.
func within(t *testing.T, most notes.Headers, limits middleware.Limits) {
	t.Helper()
	require.LessOrEqual(t, most.RequestBytes, limits.RequestBytes)
	require.LessOrEqual(t, most.Cookies, limits.Cookies)
	require.LessOrEqual(t, most.ResponseBytes, limits.ResponseBytes)
	require.LessOrEqual(t, most.SetCookieLines, limits.SetCookieLines)
	require.LessOrEqual(t, most.CookieBytes, limits.CookieBytes)
	require.Empty(t, most.Refused)
}

// Writers that are slow carry older cookies than those who come and go
// meanwhile: each of the five saw another jar, and never were there more than
// six at once.
func TestSlowWritersAmongQuickOnes(t *testing.T) {
	for _, platform := range middleware.Platforms() {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d", name(platform), size), func(t *testing.T) {
				slowAmongQuick(t, platform, size)
			})
		}
	}
}

func slowAmongQuick(t *testing.T, platform middleware.Platform, size int) {
	site, clock := newSite(t, platform)
	limits, _ := platform.Limits()
	v := newVisitor(t, site)
	v.set("first", "f", 0)
	v.grow(size)
	var slow []string
	for i := range limits.Parallel - 1 {
		slow = append(slow, v.pot.header())
		v.set(fmt.Sprintf("quick%d", i), fmt.Sprintf("q%d", i), 5)
	}
	var answers []answer
	for i, header := range slow {
		a, err := v.send(site, "POST", "/set", setting(fmt.Sprintf("slow%d", i), fmt.Sprintf("s%d", i), 5, 0), header)
		require.NoError(t, err)
		answers = append(answers, a)
	}
	for _, a := range answers {
		v.take(a)
	}
	v.checkAcked("at once")
	within(t, site.Meter.Most(), limits)
	v.heal(clock, limits)
}

// One writer, one request at a time: whatever is acknowledged, the next request
// is within the limits, and so when everything is deleted again.
func TestOneWriterAfterABurst(t *testing.T) {
	for _, platform := range middleware.Platforms() {
		t.Run(name(platform), func(t *testing.T) {
			for range 4 {
				oneWriter(t, platform)
			}
		})
	}
}

func oneWriter(t *testing.T, platform middleware.Platform) {
	site, _ := newSite(t, platform)
	limits, _ := platform.Limits()
	v := newVisitor(t, site)
	v.set("first", "f", 0)
	v.grow(rand.IntN(1500))
	v.burst(limits.Parallel, func(i int) (string, url.Values) {
		return "/set", setting(fmt.Sprintf("n%d", i), "w", rand.IntN(200), some(5))
	})
	check := func(what string) {
		t.Helper()
		v.checkAcked(what)
		most := site.Meter.Most()
		require.LessOrEqual(t, most.RequestBytes, limits.RequestBytes, what)
		require.LessOrEqual(t, most.ResponseBytes, limits.ResponseBytes, what)
	}
	check("after the burst")
	for i := range 25 {
		v.set(fmt.Sprintf("later%d", i), "l", rand.IntN(300))
		check("growing")
	}
	for name := range v.acked {
		a := v.do("POST", "/delete", url.Values{"name": {name}})
		require.Equal(t, 200, a.status, "what only shrinks is always taken")
		delete(v.acked, name)
		check("shrinking")
	}
}
