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

	// OnEvict is called for every session that is dropped before it expires, to
	// make room: its visitor has lost it. It is called without a lock, on the
	// goroutine that needed the room, before its Save returns. If it is nil,
	// [Memory.Evicted] still counts the sessions.
	OnEvict func(Eviction)
}

// Eviction is a record that was dropped before its time.
type Eviction struct {
	ID      string // as it was given to Save: a hash, no secret
	Kind    Kind   // KindSession or KindLogin
	Bytes   int    // of its data
	Expires time.Time
}

// Memory is a [Store] in the memory of this process. It is bounded by bytes
// and has no goroutine. Other processes do not see it and a restart empties it.
//
// A full Memory makes room in this order: records that have expired, then the
// [KindSession] that was used least recently, then the [KindLogin] that was
// used least recently. What anybody can create evicts nothing that a login has
// created: for a KindSession or a [KindEnd], no KindLogin is dropped. The other
// kinds say that something is over, and are never dropped before they expire.
// They have bounds of their own, so that they leave a quarter of MaxBytes to
// sessions: a KindEnd may take an eighth of MaxBytes, a [KindLoginEnd] a half,
// a [KindRevocation] an eighth. If there is no room, Save fails with [ErrFull].
//
// One such record takes about 450 bytes, so that the default of 64 MiB holds
// 70,000 ends of logins. A login or a logout makes one, which stays until that
// session would have ended.
//
// It is a [Counter], a [Clearer], a [Sweeper] and a [Checker].
type Memory struct {
	config  MemoryConfig
	seed    maphash.Seed
	used    atomic.Int64        // bytes, reserved before they are taken
	usedBy  [kinds]atomic.Int64 // of those, what each kind takes
	evicted atomic.Int64
	ticks   atomic.Uint64 // counts uses, to tell which was least recent
	shards  [shards]shard
}

var (
	_ Store   = (*Memory)(nil)
	_ Counter = (*Memory)(nil)
	_ Clearer = (*Memory)(nil)
	_ Sweeper = (*Memory)(nil)
	_ Checker = (*Memory)(nil)
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
		m.shards[i].init()
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
	rec := Record{Revision: r.revision, Data: r.data, Expires: time.UnixMilli(r.expires), Kind: r.kind, Pinned: !r.kind.evictable()}
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
	now := m.now()
	m.free(s.bury(id, now))
	had, err := s.standing(id, old, new.Revision, now)
	if err != nil || had == done {
		return err
	}
	r := &row{id: id, revision: new.Revision, data: slices.Clone(new.Data), expires: new.Expires.UnixMilli(), kind: new.kind()}
	room, err := m.reserve(r, had)
	if err != nil {
		return err
	}
	r.used = m.ticks.Add(1)
	had, err = s.replace(old, r, m.now())
	if err != nil || had == done {
		m.giveBack(room)
		return err
	}
	m.settle(room, r, had)
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
		m.free(s.remove(r))
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
		m.free(m.shards[i].clear()...)
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
		removed := m.shards[i].sweep(now, limit-n)
		m.free(removed...)
		n += len(removed)
	}
	return n, nil
}

// Check is as in [Checker]. A Memory has no settings that lose records; its
// error is that of ctx.
func (m *Memory) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	return nil
}

// Bytes returns how much of MaxBytes is taken, including records that have
// expired and have not been removed yet.
func (m *Memory) Bytes() int64 { return m.used.Load() }

// BytesOf returns how much of MaxBytes the records of one kind take.
func (m *Memory) BytesOf(k Kind) int64 {
	if k >= kinds {
		return 0
	}
	return m.usedBy[k].Load()
}

// Evicted returns how many sessions were dropped before they expired.
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
