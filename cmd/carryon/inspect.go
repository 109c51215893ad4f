package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/core"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/session"
)

const (
	maxPaste    = 1 << 20 // bytes read from standard input
	cookieLimit = 4096    // what browsers keep of a cookie, name and value
)

// inspection is one run of the command.
type inspection struct {
	*ui
	ring     *keyring.Ring // nil: show only what anyone can see
	base     string        // "": all that look like ours
	audience string
	values   bool
	idle     time.Duration
	jars     []*jar // by base name, as they came
}

// inspect shows the sessions in the cookies on standard input.
func inspect(u *ui, args []string) error {
	set := u.flags()
	in := inspection{ui: u}
	file := set.String("keys", "", "open the values with the key ring in `FILE`")
	set.StringVar(&in.base, "name", "", "look only at the cookies of the session cookie `BASE`, such as __Host-session; without it, at all that look like ours")
	set.StringVar(&in.audience, "audience", "", "open them for the audience `A`, as in the program's configuration")
	set.BoolVar(&in.values, "values", false, "show what is kept in the session, too: it may be secret")
	set.DurationVar(&in.idle, "idle", middleware.DefaultIdleTimeout, "the program's idle timeout is `D`, negative for none")
	if _, err := u.parse(set, args, 0); err != nil {
		return err
	}
	if *file == "-" {
		return usageError{errors.New("standard input holds the cookies, so the key ring must be a file")}
	}
	if *file != "" {
		ring, err := u.readRing(*file)
		if err != nil {
			return err
		}
		in.ring = ring
	} else if in.values || in.audience != "" {
		return usageError{errors.New("--values and --audience need --keys: without it nothing is opened")}
	}
	text, err := u.paste()
	if err != nil {
		return err
	}
	cookies, err := readCookies(text)
	if err != nil {
		return err
	}
	return in.report(cookies)
}

// paste reads standard input, and says what to do if that is a keyboard.
func (u *ui) paste() (string, error) {
	if u.canAsk() {
		u.note(`paste a Cookie header, Set-Cookie lines, what document.cookie gives, or a browser's "copy as cURL"; then end the input (Ctrl-D, on Windows Ctrl-Z and Enter)`)
	}
	text, err := io.ReadAll(io.LimitReader(u.in, maxPaste+1))
	if err != nil {
		return "", fmt.Errorf("cannot read standard input: %w", err)
	}
	if len(text) > maxPaste {
		return "", fmt.Errorf("standard input has more than %d bytes", maxPaste)
	}
	return string(text), nil
}

// A fragment is all cookies under one name and its numbered continuations.
type fragment struct {
	base, suffix string
	pieces       map[int][]string // values by number; several if a name came twice
}

func (f *fragment) name() string {
	if f.suffix == "" {
		return f.base
	}
	return f.base + "." + f.suffix
}

// group sorts cookies into fragments, in the order in which they came.
func group(cookies []cookie) (all []*fragment) {
	byName := map[string]*fragment{}
	for _, c := range cookies {
		base, suffix, piece := splitName(c.name)
		f := &fragment{base: base, suffix: suffix, pieces: map[int][]string{}}
		if known := byName[f.name()]; known != nil {
			f = known
		} else {
			byName[f.name()] = f
			all = append(all, f)
		}
		if !slices.Contains(f.pieces[piece], c.value) {
			f.pieces[piece] = append(f.pieces[piece], c.value)
		}
	}
	return all
}

// splitName reads base, base.suffix, base.piece and base.suffix.piece.
func splitName(name string) (base, suffix string, piece int) {
	base = name
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		n, err := strconv.Atoi(base[i+1:])
		if err == nil && 0 < n && n < codec.MaxPieces && strconv.Itoa(n) == base[i+1:] {
			base, piece = base[:i], n
		}
	}
	if i := strings.LastIndexByte(base, '.'); i > 0 && core.IsSuffix(base[i+1:]) {
		base, suffix = base[:i], base[i+1:]
	}
	return base, suffix, piece
}

// ours reports whether a fragment is one to show. Without a name to go by, it is
// if it is named as we name, or begins as our values do.
func (in *inspection) ours(f *fragment) bool {
	if in.base != "" {
		return f.base == in.base
	}
	if strings.Contains(f.base, ".") { // no base has one
		return false
	}
	for _, value := range f.pieces[0] {
		if h, err := codec.Peek(value); err == nil && h.Format == 1 &&
			codec.SealedLen(0) <= len(value) && len(value) <= codec.SealedLen(codec.MaxPlaintext) {
			return true
		}
	}
	return f.suffix != ""
}

func (in *inspection) report(cookies []cookie) error {
	found := slices.DeleteFunc(group(cookies), func(f *fragment) bool { return !in.ours(f) })
	if len(found) == 0 {
		return hint(fmt.Errorf("none of the %s is a session of ours", count(len(cookies), "cookie")),
			"name the session cookie with --name; cookies that scripts may not see are missing in document.cookie")
	}
	w := tabwriter.NewWriter(in.out, 0, 0, 2, ' ', 0)
	for i, f := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, printable(f.name()))
		for _, l := range in.describeFragment(f) {
			fmt.Fprintf(w, "    %s\t%s\n", l.label, l.text)
		}
	}
	if in.ring != nil {
		for _, j := range in.jars {
			fmt.Fprintf(w, "\n%s, all together\n", printable(j.base))
			for _, l := range j.verdict(in.now(), in.idle) {
				fmt.Fprintf(w, "    %s\t%s\n", l.label, l.text)
			}
		}
	}
	return w.Flush()
}

// describeFragment reports the first way to read the fragment that opens, or
// the first way if none does.
func (in *inspection) describeFragment(f *fragment) []line {
	lines := in.sizes(f)
	var first []line
	var refused error = &codec.Error{Reason: codec.Torn}
	for _, value := range f.pieces[0] {
		seal, opened, err := in.describeValue(f, value)
		if opened != nil {
			j := in.jarOf(f.base)
			j.opened = append(j.opened, opened)
			return append(lines, seal...)
		}
		if first == nil {
			first, refused = seal, err
		}
	}
	if first == nil { // only further pieces came
		first = []line{{"seal", refusal(refused)}}
	}
	if refused != nil {
		in.jarOf(f.base).refuse(refused)
	}
	return append(lines, first...)
}

// sizes says how much of what a browser keeps each piece takes.
func (in *inspection) sizes(f *fragment) (lines []line) {
	for _, piece := range slices.Sorted(maps.Keys(f.pieces)) {
		name, label := f.name(), ""
		if piece > 0 {
			name += "." + strconv.Itoa(piece)
		}
		if len(lines) == 0 {
			label = "size"
		}
		for _, value := range f.pieces[piece] {
			size := len(name) + len(value)
			text := fmt.Sprintf("%d of %d bytes, name and value", size, cookieLimit)
			if size > cookieLimit {
				text += ": too large, browsers drop it"
			}
			if len(f.pieces) > 1 || piece > 0 {
				text += fmt.Sprintf(" (piece %d)", piece)
			}
			if len(f.pieces[piece]) > 1 {
				text += ", one of several under this name"
			}
			lines = append(lines, line{label, text})
			label = ""
		}
	}
	return append(lines, line{"pieces", strconv.Itoa(len(f.pieces))})
}

// describeValue says what a fragment is, given its first piece, and opens it. The
// error is why that is not possible; a value that only removes a cookie has none.
func (in *inspection) describeValue(f *fragment, first string) (lines []line, opened *core.Fragment, err error) {
	if first == "" {
		return []line{{"value", "empty: a line that removes the cookie, or one that was removed"}}, nil, nil
	}
	if h, err := codec.Peek(first); err == nil {
		lines = append(lines, line{"format", strconv.Itoa(int(h.Format))}, line{"key", in.key(h)})
	}
	value, used, err := formats().Join(func(i int) (string, bool) {
		if i == 0 {
			return first, true
		}
		if values := f.pieces[i]; len(values) > 0 {
			return values[0], true
		}
		return "", false
	})
	if err != nil {
		return append(lines, line{"seal", refusal(err)}), nil, err
	}
	if left := len(f.pieces) - used; left > 0 {
		lines = append(lines, line{"", count(left, "piece") + " left over from an older value"})
	}
	if in.ring == nil {
		return append(lines, line{"seal", "not checked: that takes --keys FILE"}), nil, nil
	}
	b := codec.Binding{Audience: in.audience, Base: f.base, Suffix: f.suffix}
	plaintext, _, err := formats().Open(nil, in.ring, in.now(), b, value)
	if err != nil {
		return append(lines, line{"seal", refusal(err)}), nil, err
	}
	lines = append(lines, line{"seal", "good"})
	opened, err = core.Decode(plaintext)
	if err != nil {
		return append(lines, line{"content", "refused: " + string(session.Malformed) + ": " + err.Error()}), nil, err
	}
	opened.Suffix = f.suffix
	return append(lines, describe(opened, in.values, in.now())...), opened, nil
}

// key names the key of a value and, if there is a ring, its state.
func (in *inspection) key(h codec.Header) string {
	if in.ring == nil {
		return h.KeyID.String()
	}
	_, state := in.ring.Find(h.KeyID, in.now())
	return h.KeyID.String() + ", " + state.String()
}

func refusal(err error) string {
	return "refused: " + strings.TrimPrefix(err.Error(), "codec: ")
}

// printable keeps what a stranger named from writing to the terminal.
func printable(name string) string {
	if q := quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}
