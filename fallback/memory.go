package fallback

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"
)

const (
	defaultMaxBytes = 64 << 20

	// shards is how many locks there are: more than cores that would wait.
	shards = 32

	// rowBytes is what a row costs beside its id and data: the row itself, its
	// places in the map, the list and the heap. Measured: 163 bytes in 50,000 rows,
	// and more while the map has just grown.
	rowBytes = 256
)

// MemoryConfig says how a [Memory] is made. The zero value is ready to use.
type MemoryConfig struct {
	// MaxBytes bounds what the records take, ids and the store's own tables
	// included. 0 means 64 MiB; negative is an error.
	MaxBytes int64

	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time

	// OnEvict is told of every record that is dropped before its time to make
	// room: a visitor has lost the session. It is called without a lock, by
	// the goroutine that needed the room, before its Save returns. nil means
	// that nobody is told; [Memory.Evicted] counts them all the same.
	OnEvict func(Eviction)
}

// Eviction is a record that was dropped before its time.
type Eviction struct {
	ID      string // as it was given to Save: a hash, no secret
	Bytes   int    // of its data
	Expires time.Time
}

// Memory is a [Store] in the memory of this process. It is bounded by bytes
// and has no goroutine. What it needs room for, it takes first from records
// that have expired, then from those that were used least recently, and never
// from those that are [Record.Pinned]: if nothing else is left, Save fails
// with [ErrFull]. Other processes do not see it and a restart empties it.
//
// It is a [Counter], a [Clearer] and a [Sweeper].
type Memory struct {
	config  MemoryConfig
	seed    maphash.Seed
	used    atomic.Int64 // bytes, reserved before they are taken
	evicted atomic.Int64
	ticks   atomic.Uint64 // counts uses, to tell which was least recent
	shards  [shards]shard
}

var (
	_ Store   = (*Memory)(nil)
	_ Counter = (*Memory)(nil)
	_ Clearer = (*Memory)(nil)
	_ Sweeper = (*Memory)(nil)
)

// NewMemory makes an empty store.
func NewMemory(config MemoryConfig) (*Memory, error) {
	if config.MaxBytes < 0 {
		return nil, errors.New("fallback: MemoryConfig.MaxBytes is negative; use 0 for 64 MiB")
	}
	if config.MaxBytes == 0 {
		config.MaxBytes = defaultMaxBytes
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	m := &Memory{config: config, seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].rows = make(map[string]*row)
		m.shards[i].recent.init()
	}
	return m, nil
}

// Load is as in [Store]. The record counts as used.
func (m *Memory) Load(ctx context.Context, id string) (Record, error) {
	if err := begin(ctx, id); err != nil {
		return Record{}, err
	}
	s := m.shard(id)
	s.mu.Lock()
	r := s.live(id, m.now())
	if r == nil {
		s.mu.Unlock()
		return Record{}, ErrNotFound
	}
	s.use(r, m.ticks.Add(1))
	rec := Record{Revision: r.revision, Data: r.data, Expires: time.UnixMilli(r.expires), Pinned: r.pinned}
	s.mu.Unlock()
	rec.Data = slices.Clone(rec.Data) // the slice of a row is never written to
	return rec, nil
}

// Save is as in [Store]; with [ErrFull] where the store has no room.
func (m *Memory) Save(ctx context.Context, id string, old Revision, new Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	if err := CheckSave(id, old, new); err != nil {
		return err
	}
	s := m.shard(id)
	// Asked first, so that a Save which loses drives nobody out; and again
	// when there is room, for that was got without the lock.
	now, size := m.now(), rowSize(id, new.Data)
	m.used.Add(-s.bury(id, now))
	had, err := s.standing(id, old, new.Revision, now)
	if err != nil || had == done {
		return err
	}
	more := max(0, size-had)
	if !m.reserve(more, id) {
		return ErrFull
	}
	r := &row{id: id, revision: new.Revision, data: slices.Clone(new.Data), expires: new.Expires.UnixMilli(),
		pinned: new.Pinned, used: m.ticks.Add(1)}
	freed, err := s.replace(old, r, m.now())
	if err != nil || freed == done {
		m.used.Add(-more)
		return err
	}
	m.used.Add(size - freed - more)
	return nil
}

// Touch is as in [Store].
func (m *Memory) Touch(ctx context.Context, id string, expires time.Time) error {
	if err := begin(ctx, id); err != nil {
		return err
	}
	if err := CheckExpiry(expires); err != nil {
		return err
	}
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.live(id, m.now())
	if r == nil {
		return ErrNotFound
	}
	s.use(r, m.ticks.Add(1))
	s.expireAt(r, expires.UnixMilli())
	return nil
}

// Delete is as in [Store].
func (m *Memory) Delete(ctx context.Context, id string) error {
	if err := begin(ctx, id); err != nil {
		return err
	}
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rows[id]; r != nil {
		m.used.Add(-s.remove(r))
	}
	return nil
}

// Len is as in [Counter].
func (m *Memory) Len(ctx context.Context) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("fallback: %w", err)
	}
	now := m.now()
	for i := range m.shards {
		n += m.shards[i].count(now)
	}
	return n, nil
}

// Clear is as in [Clearer].
func (m *Memory) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	for i := range m.shards {
		m.used.Add(-m.shards[i].clear())
	}
	return nil
}

// Sweep is as in [Sweeper]; it leaves nothing that has expired. Nobody needs
// to call it: a record that has expired goes when its room is needed.
func (m *Memory) Sweep(ctx context.Context, limit int) (n int, err error) {
	now := m.now()
	for i := range m.shards {
		if err := ctx.Err(); err != nil {
			return n, fmt.Errorf("fallback: %w", err)
		}
		removed, freed := m.shards[i].sweep(now, limit-n)
		m.used.Add(-freed)
		n += removed
	}
	return n, nil
}

// Bytes says how much of MaxBytes is taken, by records that have expired and
// are still there too.
func (m *Memory) Bytes() int64 { return m.used.Load() }

// Evicted counts the records that were dropped before their time.
func (m *Memory) Evicted() int64 { return m.evicted.Load() }

func (m *Memory) now() int64 { return m.config.Clock().UnixMilli() }

func (m *Memory) shard(id string) *shard {
	return &m.shards[maphash.String(m.seed, id)%shards]
}

func begin(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	return CheckID(id)
}

func rowSize(id string, data []byte) int64 { return int64(len(id) + len(data) + rowBytes) }
