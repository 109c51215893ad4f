package scsstore

import (
	"context"
	"hash/crc32"
)

// locks serialise changes of the same record. There are 256 locks for all
// records, so one call in 256 waits unnecessarily.
type locks []chan struct{}

func newLocks() locks {
	l := make(locks, 256)
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return l
}

// with runs f while no other call changes the record. It returns the error of
// f, or that of the context if it ends first.
func (l locks) with(ctx context.Context, t token, f func() error) error {
	lock := l[t.bucket()]
	select {
	case lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-lock }() // f calls foreign code, which may panic
	return f()
}

// bucket distributes tokens evenly.
func (t token) bucket() uint32 { return crc32.ChecksumIEEE([]byte(t)) % 256 }
