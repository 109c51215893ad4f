// The command carryon makes and rotates the keys that seal sessions, and shows
// what a session cookie holds.
//
//	go install github.com/carryon-go/carryon/cmd/carryon@latest
//	carryon keys init session-keys.json
//
// What it makes goes to standard output or to the file that was named, what it
// has to say to standard error. Run it without arguments for its usage.
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

// The exit codes; usageEnd documents them.
const (
	exitDone  = 0
	exitFail  = 1
	exitUsage = 2
)

// A command is a row of the usage and a function in a file of its own.
type command struct {
	name    string // one or two words
	args    string
	summary string
	run     func(*ui, []string) error
}

func (c command) synopsis() string {
	return strings.TrimSpace("carryon " + c.name + " " + c.args)
}

// commands is a function, since help refers to the table it stands in.
func commands() []command {
	return []command{
		{"keys init", "[FLAGS] FILE", "make a ring with one key, in a new file of mode 0600", keysInit},
		{"keys list", "[FLAGS] FILE", "show the keys, their states and times, without the secrets", keysList},
		{"keys rotate", "[FLAGS] FILE", "add a key that takes over from the active one", keysRotate},
		{"keys revoke", "[FLAGS] ID FILE", "kill a key that leaked, and all sessions it sealed", keysRevoke},
		{"keys prune", "[FLAGS] FILE", "remove keys that have expired", keysPrune},
		{"keys check", "[FLAGS] FILE", "say whether servers would take the ring, and what to watch", keysCheck},
		{"keys export", "[FLAGS] FILE", "print the ring, secrets and all, for a shell or Kubernetes", keysExport},
		{"inspect", "[FLAGS]", "show the sessions in cookies given on standard input", inspect},
		{"size", "[FLAGS] [SESSION]", "say what a session in JSON would take on each platform", size},
		{"version", "", "print the version", printVersion},
	}
}

const usageEnd = `
FILE is a key ring in JSON; "-" is standard input, and standard output for what
is made; env:NAME is an environment variable, to be read. SESSION is a JSON
object, whose members are the entries of a session; "-" is standard input.
"carryon COMMAND -h" says more about a command.

Exit codes: 0 done, 1 it failed, 2 it was called in a wrong way.
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
	return runNothing(u, args)
}

// runNothing says what there is to choose from.
func runNothing(u *ui, args []string) int {
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
		_ = usage(u.err, group) // there is nowhere else to say that this failed
		return exitUsage
	}
	return u.finish(usageError{fmt.Errorf("there is no command %q", group+args[len(strings.Fields(group))])})
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// usage lists the commands that begin with prefix.
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
