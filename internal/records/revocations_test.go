package records

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
)

const age = 10 * time.Second

var (
	start   = time.Now() // by both of Go's clocks
	errDown = errors.New("connection refused")
)

// source is what a store says, and how often it was asked.
type source struct {
	ending Ending
	err    error
	asked  int
	ctx    context.Context // of the last load
}

func (s *source) load(ctx context.Context) (Ending, error) {
	s.asked++
	s.ctx = ctx
	return s.ending, s.err
}

// hung is a load that ends when it is told to.
type hung struct {
	arrived, goOn chan struct{}
	source
}

func newHung(ending Ending) *hung {
	return &hung{make(chan struct{}), make(chan struct{}), source{ending: ending}}
}

func (h *hung) load(ctx context.Context) (Ending, error) {
	e, err := h.source.load(ctx)
	close(h.arrived)
	<-h.goOn
	return e, err
}

// said is an answer that was waited for.
type said struct {
	Ending
	err error
}

func (r *revocations) askInBackground(ctx context.Context, now time.Time, load func(context.Context) (Ending, error)) chan said {
	answer := make(chan said, 1)
	go func() {
		e, err := r.ask(ctx, "row", now, age, load)
		answer <- said{e, err}
	}()
	return answer
}

// receive is the answer, which must not take long.
func receive(t *testing.T, answer chan said) said {
	t.Helper()
	select {
	case s := <-answer:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for a question that was asked too early")
		return said{}
	}
}

func TestAnswersAreKeptForTheirAge(t *testing.T) {
	r, s := &revocations{}, &source{}
	for _, c := range []struct {
		after time.Duration
		age   time.Duration
		asked int
	}{{0, age, 1}, {age - 1, age, 1}, {age, age, 2}, {age, 0, 3}, {age, 0, 4}, {age + 1, age, 4}} {
		_, err := r.ask(t.Context(), "row", start.Add(c.after), c.age, s.load)
		require.NoError(t, err)
		require.Equal(t, c.asked, s.asked, "%v", c)
	}
}

// An ended session stays so: the store is not asked again, however old the answer is.
func TestAnEndingIsNotAskedForAgain(t *testing.T) {
	r, s := &revocations{}, &source{ending: Ending{Dead: true, Out: true}}
	for _, after := range []time.Duration{0, time.Hour, 1000 * time.Hour} {
		e, err := r.ask(t.Context(), "row", start.Add(after), 0, s.load)
		require.NoError(t, err)
		require.Equal(t, Ending{Dead: true, Out: true}, e)
		require.Equal(t, 1, s.asked)
	}
}

// Sessions that begin without end drive out what is known of others that live, and
// nothing of what has ended.
func TestFloodForgetsNoEnding(t *testing.T) {
	r, alive := &revocations{}, &source{}
	r.learn("session", Ending{Dead: true, Out: true}, start)
	r.learn("subject", Ending{Before: 42}, start)
	for i := range 3 * maxAnswers {
		_, err := r.ask(t.Context(), fmt.Sprint(i), start, age, alive.load)
		require.NoError(t, err)
	}
	down := &source{err: errDown}
	e, err := r.ask(t.Context(), "session", start.Add(time.Hour), age, down.load)
	require.NoError(t, err)
	require.True(t, e.Dead && e.Out)
	e, err = r.ask(t.Context(), "subject", start.Add(time.Hour), age, down.load)
	require.ErrorIs(t, err, errDown)
	require.EqualValues(t, 42, e.Before)
}

// Neither kind of answer takes memory without bound.
func TestMemoryIsBounded(t *testing.T) {
	r := &revocations{}
	for i := range 4 * maxAnswers {
		r.learn(fmt.Sprint("alive ", i), Ending{}, start)
		r.learn(fmt.Sprint("dead ", i), Ending{Dead: true}, start)
	}
	for _, m := range []memory{r.alive, r.ended} {
		require.LessOrEqual(t, len(m.recent), maxAnswers)
		require.LessOrEqual(t, len(m.older), maxAnswers)
		require.NotEmpty(t, m.older)
	}
	_, ok := r.find(fmt.Sprint("alive ", 4*maxAnswers-1-maxAnswers/2))
	require.True(t, ok, "what is not old yet is still there")
}

// An answer that was on its way when a session ended does not make it live again,
// for the request that asked or for later ones.
func TestLateAnswerDoesNotUndoAnEnding(t *testing.T) {
	r, h := &revocations{}, newHung(Ending{})
	answer := r.askInBackground(t.Context(), start, h.load)
	<-h.arrived
	r.learn("row", Ending{Dead: true, Out: true, Before: 7}, start.Add(time.Second))
	close(h.goOn)
	got := receive(t, answer)
	require.NoError(t, got.err)
	require.Equal(t, Ending{Dead: true, Out: true, Before: 7}, got.Ending)
	down := &source{err: errDown}
	e, err := r.ask(t.Context(), "row", start.Add(time.Hour), age, down.load)
	require.NoError(t, err)
	require.Equal(t, Ending{Dead: true, Out: true, Before: 7}, e)
}

// A store that was rolled back does not take back what it has said.
func TestEndingsOfASubjectOnlyGrow(t *testing.T) {
	r, s := &revocations{}, &source{ending: Ending{Before: 9}}
	for i, before := range []int64{9, 0, 5} {
		s.ending.Before = before
		e, err := r.ask(t.Context(), "row", start.Add(time.Duration(i)*time.Hour), age, s.load)
		require.NoError(t, err)
		require.EqualValues(t, 9, e.Before)
	}
	require.Equal(t, 3, s.asked)
}

// Requests of one session wait for one answer.
func TestOneQuestionAtATime(t *testing.T) {
	r, h, other := &revocations{}, newHung(Ending{Before: 3}), &source{}
	first := r.askInBackground(t.Context(), start, h.load)
	<-h.arrived
	second := r.askInBackground(t.Context(), start.Add(age-1), other.load)
	time.Sleep(10 * time.Millisecond) // for it to wait; if it does not yet, it gets the answer from memory
	close(h.goOn)
	for _, answer := range []chan said{first, second} {
		got := receive(t, answer)
		require.NoError(t, got.err)
		require.EqualValues(t, 3, got.Before)
	}
	require.Zero(t, other.asked)
}

// A question that hangs in the store since before a revocation is no answer for a
// request that has to see that. When it ends, it leaves the newer one alone.
func TestQuestionThatIsTooOldIsNotJoined(t *testing.T) {
	r, old := &revocations{}, newHung(Ending{})
	first := r.askInBackground(t.Context(), start, old.load)
	<-old.arrived
	newer := newHung(Ending{Before: 8})
	second := r.askInBackground(t.Context(), start.Add(age), newer.load)
	select {
	case <-newer.arrived:
	case <-time.After(10 * time.Second):
		t.Fatal("it has joined a question that was asked too early")
	}
	close(old.goOn)
	require.NoError(t, receive(t, first).err)

	other := &source{}
	third := r.askInBackground(t.Context(), start.Add(age+1), other.load)
	time.Sleep(10 * time.Millisecond)
	close(newer.goOn)
	for _, answer := range []chan said{second, third} {
		require.EqualValues(t, 8, receive(t, answer).Before)
	}
	require.Zero(t, other.asked, "it waits for the newer one")
}

// That the visitor hangs up who asked does not fail those who wait for the same
// answer; the deadline of the call stays.
func TestAskerWhoHangsUpFailsNobody(t *testing.T) {
	r, h := &revocations{}, newHung(Ending{Before: 4})
	ctx, hangUp := context.WithCancel(t.Context())
	ctx, cancel := context.WithDeadline(ctx, start.Add(time.Hour))
	defer cancel()
	r.askInBackground(ctx, start, h.load)
	<-h.arrived
	second := r.askInBackground(t.Context(), start, (&source{}).load)
	hangUp()
	require.NoError(t, h.ctx.Err())
	deadline, ok := h.ctx.Deadline()
	require.True(t, ok)
	require.True(t, deadline.Equal(start.Add(time.Hour)))
	close(h.goOn)
	got := receive(t, second)
	require.NoError(t, got.err)
	require.EqualValues(t, 4, got.Before)
}

// Those who wait have a deadline of their own.
func TestWaiterWhoHangsUpDoesNotWait(t *testing.T) {
	r, h := &revocations{}, newHung(Ending{})
	r.learn("row", Ending{Before: 6}, start.Add(-time.Hour))
	first := r.askInBackground(t.Context(), start, h.load)
	<-h.arrived
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	got := receive(t, r.askInBackground(ctx, start, h.load))
	require.ErrorIs(t, got.err, session.ErrStoreDown)
	require.ErrorIs(t, got.err, context.Canceled)
	require.EqualValues(t, 6, got.Before, "what was known before")
	close(h.goOn)
	require.NoError(t, receive(t, first).err)
}

// A store that has failed is left alone for a second, for every row.
func TestFailedStoreIsLeftAlone(t *testing.T) {
	r, s := &revocations{}, &source{err: errDown}
	for _, c := range []struct {
		row   string
		after time.Duration
		asked int
	}{{"a", 0, 1}, {"a", failureBackoff - 1, 1}, {"b", failureBackoff - 1, 1}, {"b", failureBackoff, 2}} {
		_, err := r.ask(t.Context(), c.row, start.Add(c.after), age, s.load)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, c.asked, s.asked, "%v", c)
	}
	s.err = nil
	_, err := r.ask(t.Context(), "a", start.Add(2*failureBackoff), age, s.load)
	require.NoError(t, err)
}

func TestStoreThatPanicsFailsThoseWhoWait(t *testing.T) {
	r, h := &revocations{}, newHung(Ending{})
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		_, _ = r.ask(t.Context(), "row", start, age, func(ctx context.Context) (Ending, error) {
			_, _ = h.load(ctx)
			panic("a driver's mistake")
		})
	}()
	<-h.arrived
	waits := r.askInBackground(t.Context(), start, (&source{}).load)
	time.Sleep(10 * time.Millisecond)
	close(h.goOn)
	require.Equal(t, "a driver's mistake", <-panicked)
	require.ErrorIs(t, receive(t, waits).err, session.ErrStoreDown)
	_, err := r.ask(t.Context(), "row", start.Add(time.Minute), age, (&source{}).load)
	require.NoError(t, err, "and nobody waits for that answer any more")
}

// readings is a time at which Go's two clocks have moved by different amounts
// since start: the monotonic one stands still while a machine sleeps, the other
// can be set.
func readings(wall, monotonic time.Duration) time.Time {
	t := start.Add(wall)
	clock := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	clock.ext += int64(monotonic - wall)
	return t
}

func TestFreshGoesByBothClocks(t *testing.T) {
	require.Equal(t, 3*time.Second, readings(time.Second, 3*time.Second).Sub(start), "Go keeps its times as this test thinks")
	require.Equal(t, time.Second, readings(time.Second, 3*time.Second).Round(0).Sub(start.Round(0)))
	for name, c := range map[string]struct {
		wall, monotonic time.Duration
		want            bool
	}{
		"now":                  {0, 0, true},
		"a moment later":       {age - 1, age - 1, true},
		"too late":             {age, age, false},
		"it slept":             {time.Hour, time.Second, false},
		"it was set back":      {-time.Second, time.Second, false},
		"it was set back, far": {time.Second, time.Hour, false},
		"it was set ahead":     {age, time.Second, false},
	} {
		require.Equal(t, c.want, fresh(start, readings(c.wall, c.monotonic), age), name)
	}
}

// What this replica puts into the store is held together with what it knows.
func TestLearningLessForgetsNothing(t *testing.T) {
	r := &revocations{}
	r.learn("subject", Ending{Before: 9}, start)
	r.learn("subject", Ending{Before: 5}, start)
	r.learn("session", Ending{Dead: true, Out: true}, start)
	r.learn("session", Ending{Dead: true}, start)
	r.learn("session", Ending{}, start)
	subject, _ := r.find("subject")
	require.EqualValues(t, 9, subject.Before)
	session, _ := r.find("session")
	require.Equal(t, Ending{Dead: true, Out: true}, session.Ending)
}
