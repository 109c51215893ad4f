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

	// shards is the number of locks. It exceeds the number of cores that usually
	// compete for them.
	shards = 32

	// rowBytes is the size of a row without its id and data: the row itself
	// and its places in the map, the list and the heap. The measured size is
	// 163 bytes at 50,000 rows, and more directly after the map has grown.
	rowBytes = 256
)

// MemoryConfig configures a [Memory]. The zero value is ready to use.
type MemoryConfig struct {
	// MaxBytes limits the memory of all records, including ids and the store's
	// own tables. 0 means 64 MiB; a negative value is an error.
	MaxBytes int64

	// Clock returns the current time; nil means time.Now.
	Clock func() time.Time

	// OnEvict is called for every session that is evicted before it expires;
	// its visitor has lost it. The call happens without a lock, on the
	// goroutine of the Save that needed the space, before that Save returns.
	// If OnEvict is nil, [Memory.Evicted] still counts the sessions.
	OnEvict func(Eviction)
}

// Eviction describes a record that was dropped before its expiry.
type Eviction struct {
	ID      string // as passed to Save: a hash, no secret
	Kind    Kind   // KindSession or KindLogin
	Bytes   int    // size of its data
	Expires time.Time
}

// Memory is a [Store] in the memory of this process. Its size is limited, and
// it has no goroutine. Other processes do not share it, and a restart empties
// it.
//
// A full Memory frees space in this order: expired records, then the least
// recently used [KindSession], then the least recently used [KindLogin].
// Records that anyone can create never evict a login: a KindSession or a
// [KindEnd] evicts no KindLogin. The other kinds mark something as ended or
// revoked and are never evicted. They have their own limits, which leave a
// quarter of MaxBytes to sessions: one eighth for KindEnd, one half for
// [KindLoginEnd], one eighth for [KindRevocation]. If there is no space, Save
// fails with [ErrFull].
//
// One such record takes about 450 bytes, so the default of 64 MiB holds 70,000
// login ends. Each login and each logout creates one; it stays until that
// session would have ended.
//
// Memory is a [Counter], a [Clearer], a [Sweeper] and a [Checker].
type Memory struct {
	config  MemoryConfig
	seed    maphash.Seed
	used    atomic.Int64        // bytes in use or reserved
	usedBy  [kinds]atomic.Int64 // the same for each kind
	evicted atomic.Int64
	ticks   atomic.Uint64 // counts uses, to order rows by their last use
	shards  [shards]shard
}

var (
	_ Store   = (*Memory)(nil)
	_ Counter = (*Memory)(nil)
	_ Clearer = (*Memory)(nil)
	_ Sweeper = (*Memory)(nil)
	_ Checker = (*Memory)(nil)
)

// NewMemory returns an empty store.
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

// Load implements [Store]. It marks the record as used.
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
	rec := Record{Revision: r.revision, Data: r.data, Expires: time.UnixMilli(r.expires), Kind: r.kind}
	s.mu.Unlock()
	rec.Data = slices.Clone(rec.Data) // the data of a row is never modified
	return rec, nil
}

// Save implements [Store]. It returns [ErrFull] if there is no space.
func (m *Memory) Save(ctx context.Context, id string, old Revision, new Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	if err := CheckSave(id, old, new); err != nil {
		return err
	}
	s := m.shard(id)
	// Compare first, so that a conflicting Save evicts no other record.
	// Compare again after the reservation, which is made without the lock.
	now := m.now()
	m.free(s.removeExpired(id, now))
	had, err := s.current(id, old, new.Revision, now)
	if err != nil || had == done {
		return err
	}
	r := &row{id: id, revision: new.Revision, data: slices.Clone(new.Data), expires: new.Expires.UnixMilli(), kind: new.Kind}
	reservation, err := m.reserve(r, had)
	if err != nil {
		return err
	}
	r.used = m.ticks.Add(1)
	had, err = s.replace(old, r, m.now())
	if err != nil || had == done {
		m.release(reservation)
		return err
	}
	m.commit(reservation, r, had)
	return nil
}

// Touch implements [Store].
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

// Delete implements [Store].
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

// Len implements [Counter].
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

// Clear implements [Clearer].
func (m *Memory) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	for i := range m.shards {
		m.free(m.shards[i].clear()...)
	}
	return nil
}

// Sweep implements [Sweeper]; it keeps no expired record. Calling it is
// optional, because an expired record is removed when its space is needed.
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

// Check implements [Checker]. A Memory has no settings that lose records; the
// only error is that of ctx.
func (m *Memory) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fallback: %w", err)
	}
	return nil
}

// Bytes returns how much of MaxBytes is in use, including expired records that
// have not been removed.
func (m *Memory) Bytes() int64 { return m.used.Load() }

// BytesOf returns how much of MaxBytes the records of one kind use.
func (m *Memory) BytesOf(k Kind) int64 {
	if k >= kinds {
		return 0
	}
	return m.usedBy[k].Load()
}

// Evicted returns how many sessions were evicted before they expired.
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
