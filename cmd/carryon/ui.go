package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// ui is the input and output of a command. Results go to out, messages to err.
type ui struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	command  command // the running command
	quiet    bool    // suppress notes
	wrapping
}

// A usageError is a wrong call: exit code 2, with a hint at the usage.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A hintError is an error with advice for the user.
type hintError struct {
	error
	hint string
}

func (e hintError) Unwrap() error { return e.error }

func hint(err error, format string, args ...any) error {
	return hintError{err, fmt.Sprintf(format, args...)}
}

func (u *ui) note(format string, args ...any) {
	if !u.quiet {
		u.say("", format, args...)
	}
}

func (u *ui) warn(format string, args ...any) { u.say("warning: ", format, args...) }

// say prints one line. It escapes characters that do not print, because file
// names can contain any.
func (u *ui) say(kind, format string, args ...any) {
	fmt.Fprintln(u.err, "carryon: "+kind+escape(fmt.Sprintf(format, args...)))
}

// finish prints the error of a command, if any, and returns the exit code.
func (u *ui) finish(err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	u.say("error: ", "%s", strings.TrimPrefix(err.Error(), "keyring: "))
	if hinted := (hintError{}); errors.As(err, &hinted) {
		u.say("hint: ", "%s", hinted.hint)
	}
	if errors.As(err, &usageError{}) {
		help := "carryon help"
		if u.command.name != "" {
			help = "carryon " + u.command.name + " -h"
		}
		u.say("hint: ", "to see the usage run: %s", help)
		return exitUsage
	}
	return exitFail
}

// flags returns an empty flag set for the running command.
func (u *ui) flags() *flag.FlagSet {
	set := flag.NewFlagSet(u.command.name, flag.ContinueOnError)
	set.SetOutput(io.Discard) // finish prints the error
	set.Usage = func() {}
	return set
}

// parse reads flags and n arguments (-1: any number), in any order; "--" ends
// the flags. For -h it prints the help and returns [flag.ErrHelp].
func (u *ui) parse(set *flag.FlagSet, args []string, n int) ([]string, error) {
	var rest []string
	for {
		if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, cmp.Or(u.help(set), err)
		} else if err != nil {
			return nil, usageError{err}
		}
		left := set.Args()
		ended := len(left) < len(args) && args[len(args)-len(left)-1] == "--"
		if len(left) == 0 || ended {
			rest = append(rest, left...)
			break
		}
		rest, args = append(rest, left[0]), left[1:]
	}
	if n >= 0 && len(rest) != n {
		return nil, usageError{fmt.Errorf("%q takes %s, not %s", "carryon "+u.command.name, count(n, "argument"), count(len(rest), "argument"))}
	}
	return rest, nil
}

func (u *ui) help(set *flag.FlagSet) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Usage: %s\n\n    %s\n", u.command.synopsis(), u.command.summary)
	first := true
	set.VisitAll(func(f *flag.Flag) {
		if first {
			out.WriteString("\nFlags:\n\n")
			first = false
		}
		name, text := flag.UnquoteUsage(f)
		fmt.Fprintf(&out, "    --%s\n        %s\n", strings.TrimSpace(f.Name+" "+name), text)
	})
	_, err := io.WriteString(u.out, out.String()+usageEnd)
	return err
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
