package middleware

import (
	"errors"
	"fmt"
)

// ConfigError is one fault of a [Config]. The error of [New] joins all faults of a
// configuration: errors.As finds the first, and the Unwrap() []error of the joined
// error lists them.
type ConfigError struct {
	// Field is the path of the field in Config, such as "Cookie.Name".
	Field string
	// Problem says what is wrong and what to write instead.
	Problem string
	// Err is the cause, if another package found the fault; else nil.
	Err error
}

// Error names the field and says what to write instead.
func (e *ConfigError) Error() string { return "carryon: Config." + e.Field + ": " + e.Problem }

// Unwrap returns the cause, if there is one.
func (e *ConfigError) Unwrap() error { return e.Err }

// faults collects the faults of a configuration.
type faults []error

// add adds a fault of a field if bad is true.
func (f *faults) add(bad bool, field, format string, args ...any) {
	if !bad {
		return
	}
	err := fmt.Errorf(format, args...)
	*f = append(*f, &ConfigError{Field: field, Problem: err.Error(), Err: errors.Unwrap(err)})
}
