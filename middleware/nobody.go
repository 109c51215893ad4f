package middleware

import (
	"context"
	"time"

	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/reason"
)

// nobody is a visitor without a session.
type nobody struct{}

func (nobody) Load(context.Context) (*state.View, error) {
	return &state.View{Verdict: reason.Absent}, nil
}

func (nobody) Save(context.Context, core.Outcome) (*state.View, error) { return nil, nil }

func (nobody) LateRead() {}

func (nobody) LateChange(string) {}

func (nobody) Lifetimes() (now, lifetime, longest int64) { return 0, 0, 0 }

func (nobody) Clamped(string, time.Duration) {}

func (nobody) Undecodable(string, error) {}
