package scsstore

import (
	"context"
	"hash/crc32"
)

// locks let those wait for each other who change the same record. There are
// 256 of them, however many records there are: two in 256 wait for each other
// without need.
type locks []chan struct{}

func newLocks() locks {
	l := make(locks, 256)
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return l
}

// with runs f while nobody else changes the record. Its error is f's, or the
// context's if that ends before it is f's turn.
func (l locks) with(ctx context.Context, t token, f func() error) error {
	lock := l[t.bucket()]
	select {
	case lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-lock }() // f may panic: it calls a stranger's code
	return f()
}

// bucket spreads tokens evenly.
func (t token) bucket() uint32 { return crc32.ChecksumIEEE([]byte(t)) % 256 }
