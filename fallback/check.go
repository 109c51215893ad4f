package fallback

import (
	"context"
	"fmt"
	"strings"
)

// Checker is a [Store] that can examine its engine's settings.
type Checker interface {
	// Check asks the engine how it is set up. It returns a [*CheckError] if the
	// engine answers and its settings lose records or do not fit the store, and
	// another error if the engine does not answer or refuses the question.
	//
	// Call it once, when the program starts. It costs a few round trips and
	// changes nothing in the engine, except where the store says so.
	Check(ctx context.Context) error
}

// CheckError lists the settings of an engine that lose records or that do not
// fit the store.
type CheckError struct {
	Engine   string // for instance "Redis 7.0.15"
	Findings []Finding
}

// Finding is one setting.
type Finding struct {
	Setting string // the engine's own name for it, for instance "maxmemory_policy"
	Value   string // its value now
	Effect  string // what the setting loses, or why the store cannot work
	Fix     string // what to do
}

// String returns the finding as one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s is %s: %s; %s", f.Setting, f.Value, f.Effect, f.Fix)
}

// Error returns all findings, one line each.
func (e *CheckError) Error() string {
	lines := make([]string, 0, len(e.Findings))
	for _, f := range e.Findings {
		lines = append(lines, "fallback: "+e.Engine+": "+f.String())
	}
	return strings.Join(lines, "\n")
}

// NewCheckError returns a [*CheckError], or nil if there are no findings. It
// is for authors of stores.
func NewCheckError(engine string, findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	return &CheckError{Engine: engine, Findings: findings}
}
