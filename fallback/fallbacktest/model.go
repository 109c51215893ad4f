package fallbacktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/carryon-go/carryon/fallback"
)

var modelCases = []testCase{
	{name: "random calls", run: randomCalls, needs: needsClock,
		why: "for any order of calls, the store behaves as a map whose entries expire"},
}

func needsClock(s Setup) string {
	if s.Advance == nil {
		return "Setup.Advance is nil: random calls are not tested"
	}
	return ""
}

// model is a reference implementation of a store.
type model struct {
	Setup
	random *rand.Rand
	rows   map[string]fallback.Record
	seen   []fallback.Revision // revisions that a later Save may use as its old one
}

func randomCalls(ctx context.Context, s Setup) error {
	for seed := range uint64(3) {
		m := model{Setup: s, random: rand.New(rand.NewPCG(seed, 4)), rows: map[string]fallback.Record{},
			seen: []fallback.Revision{{}}}
		for step := range 200 {
			if err := m.step(ctx, fmt.Sprint("model ", seed, " ", m.random.IntN(3))); err != nil {
				return fmt.Errorf("seed %d, step %d: %w", seed, step, err)
			}
		}
	}
	return nil
}

func (m *model) live(id string) (fallback.Record, bool) {
	rec, ok := m.rows[id]
	return rec, ok && rec.Expires.UnixMilli() > m.now().UnixMilli()
}

func (m *model) step(ctx context.Context, id string) error {
	store := m.Store
	if m.random.IntN(2) == 0 {
		store = m.other()
	}
	switch m.random.IntN(10) {
	case 0:
		m.Advance(time.Duration(m.random.Int64N(int64(m.life() / 4))))
		return nil
	case 1:
		delete(m.rows, id)
		return store.Delete(ctx, id)
	case 2, 3:
		return m.touch(ctx, store, id)
	case 4, 5, 6, 7:
		return m.save(ctx, store, id)
	}
	if rec, ok := m.live(id); ok {
		return checkRecord(ctx, store, id, rec)
	}
	return checkAbsent(ctx, store, id)
}

func (m *model) expires() time.Time {
	return m.now().Add(time.Duration(m.random.Int64N(int64(m.life()))) - m.life()/16)
}

func (m *model) touch(ctx context.Context, store fallback.Store, id string) error {
	rec, ok := m.live(id)
	expires := m.expires()
	err := store.Touch(ctx, id, expires)
	if !ok {
		return checkError(err, fallback.ErrNotFound, "Touch of a record that is not there")
	}
	rec.Expires = expires
	m.rows[id] = rec
	return err
}

func (m *model) save(ctx context.Context, store fallback.Store, id string) error {
	rec, ok := m.live(id)
	old := rec.Revision
	if !ok {
		old = fallback.Revision{}
	}
	right := m.random.IntN(3) > 0
	if !right {
		wrong := m.seen[m.random.IntN(len(m.seen))]
		right, old = wrong == old, wrong
	}
	next := m.record(old, strconv.Itoa(m.random.Int()))
	next.Expires = m.expires()
	m.seen = append(m.seen, next.Revision)
	err := store.Save(ctx, id, old, next)
	if !right {
		return checkError(err, fallback.ErrConflict, "Save at a revision that is not current")
	}
	m.rows[id] = next
	return err
}
