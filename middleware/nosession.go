package middleware

import (
	"context"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// noSession implements the session's backend for a visitor without a session.
type noSession struct{}

func (noSession) Load(context.Context) (*state.View, error) {
	return &state.View{Verdict: reason.Absent}, nil
}

func (noSession) Save(context.Context, core.Outcome) (*state.View, error) { return nil, nil }

func (noSession) LateRead() {}

func (noSession) LateChange(string) {}

func (noSession) Lifetimes() (now, lifetime, longest int64) { return 0, 0, 0 }

func (noSession) Clamped(string, time.Duration) {}

func (noSession) Undecodable(string, error) {}
