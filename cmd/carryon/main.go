// Command carryon creates and rotates the keys that seal sessions, and shows
// the content of session cookies.
//
//	go install github.com/carryon-go/carryon/cmd/carryon@latest
//	carryon keys init session-keys.json
//
// Output goes to standard output or to the named file; messages go to standard
// error. Run carryon without arguments for its usage.
package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Exit codes, documented in usageEnd.
const (
	exitDone  = 0
	exitFail  = 1
	exitUsage = 2
)

// A command is a row of the usage. Its function is in a file of its own.
type command struct {
	name    string // one or two words
	args    string
	summary string
	run     func(*ui, []string) error
}

func (c command) synopsis() string {
	return strings.TrimSpace("carryon " + c.name + " " + c.args)
}

// commands is a function because a variable would refer to itself through help.
func commands() []command {
	return []command{
		{"keys init", "[FLAGS] FILE", "create a key ring with one key, in a new file of mode 0600", keysInit},
		{"keys list", "[FLAGS] FILE", "show the keys, their states and times, but no secrets", keysList},
		{"keys rotate", "[FLAGS] FILE", "add a key that will replace the active one", keysRotate},
		{"keys revoke", "[FLAGS] ID FILE", "revoke a leaked key and end all sessions it sealed", keysRevoke},
		{"keys prune", "[FLAGS] FILE", "remove keys that have expired", keysPrune},
		{"keys check", "[FLAGS] FILE", "check the ring for errors, and whether it logs visitors out", keysCheck},
		{"keys fleet", "[FLAGS] URL...", "ask replicas whether they all have the same ring", keysFleet},
		{"keys wrap", "[FLAGS] FILE", "encrypt a plain ring with a command of yours", keysWrap},
		{"keys rewrap", "[FLAGS] FILE", "encrypt an encrypted ring with another key", keysRewrap},
		{"keys export", "[FLAGS] FILE", "print the ring with its secrets, for a shell or Kubernetes", keysExport},
		{"inspect", "[FLAGS]", "show the sessions in the cookies on standard input", inspect},
		{"size", "[FLAGS] [SESSION]", "show whether a session in JSON fits on each platform", size},
		{"version", "", "print the version", printVersion},
	}
}

const usageEnd = `
FILE is a key ring in JSON: a file; "-" for standard input, or for standard
output if the command creates a ring; or env:NAME to read an environment
variable. If it is encrypted, --unwrap and --wrap name programs that decrypt and
encrypt it. SESSION is a JSON object whose members are the entries of a session;
"-" is standard input. Run "carryon COMMAND -h" for the flags of a command.

Exit codes: 0 success, 1 failure, 2 wrong usage.
`

func main() {
	os.Exit(run(&ui{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now}, os.Args[1:]))
}

func run(u *ui, args []string) int {
	if len(args) > 0 && (args[0] == "help" || isHelp(args[0])) {
		return u.finish(usage(u.out, ""))
	}
	if len(args) > 0 && (args[0] == "--version" || args[0] == "-version") {
		args = append([]string{"version"}, args[1:]...)
	}
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == c.name {
			u.command = c
			return u.finish(c.run(u, args[len(words):]))
		}
	}
	return runUnknown(u, args)
}

// runUnknown handles arguments that name no command.
func runUnknown(u *ui, args []string) int {
	group := ""
	if len(args) > 0 {
		for _, c := range commands() {
			if strings.HasPrefix(c.name, args[0]+" ") {
				group = args[0] + " "
			}
		}
	}
	switch {
	case group != "" && len(args) > 1 && isHelp(args[1]):
		return u.finish(usage(u.out, group))
	case len(args) == 0, group != "" && len(args) == 1:
		_ = usage(u.err, group) // a failure here cannot be reported anywhere
		return exitUsage
	}
	return u.finish(usageError{fmt.Errorf("unknown command %q", group+args[len(strings.Fields(group))])})
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// usage lists the commands whose names begin with prefix.
func usage(w io.Writer, prefix string) error {
	var text strings.Builder
	text.WriteString("Usage:\n\n")
	for _, c := range commands() {
		if strings.HasPrefix(c.name, prefix) {
			fmt.Fprintf(&text, "    %-36s %s\n", c.synopsis(), c.summary)
		}
	}
	_, err := io.WriteString(w, text.String()+usageEnd)
	return err
}

func printVersion(u *ui, args []string) error {
	if _, err := u.parse(u.flags(), args, 0); err != nil {
		return err
	}
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	_, err := fmt.Fprintln(u.out, "carryon", cmp.Or(version, "(devel)"))
	return err
}
