package fallback

import (
	"context"
	"fmt"
	"strings"
)

// Checker is a [Store] that can check the settings of its engine.
type Checker interface {
	// Check reads the settings of the engine. It returns a [*CheckError] if
	// the settings lose records or do not suit the store. It returns another
	// error if the engine does not answer or denies the request.
	//
	// Call Check once, when the program starts. It takes a few round trips and
	// changes nothing in the engine, except where the store's documentation
	// says so.
	Check(ctx context.Context) error
}

// CheckError lists the settings of an engine that lose records or do not suit
// the store.
type CheckError struct {
	Engine   string // for example "Redis 7.0.15"
	Findings []Finding
}

// Finding is one setting.
type Finding struct {
	Setting string // the engine's own name, for example "maxmemory_policy"
	Value   string // the current value
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
