package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carryon-go/carryon/codec"
	"github.com/carryon-go/carryon/internal/cookiejar"
	"github.com/carryon-go/carryon/internal/state"
	"github.com/carryon-go/carryon/keyring"
	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
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
	if in.idle > 0 && in.idle < time.Second {
		return usageError{errors.New("--idle must be at least a second, or negative for no idle timeout")}
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

// A program is the cookies that one program would take for its own.
type program struct {
	base    string
	fixed   bool // one cookie of exactly that name, as of Config.FixedName
	cookies []cookie
	jar     cookiejar.Jar
	found   middleware.Explanation
	fault   error // why the library could not be asked
}

// programs sorts cookies by base name, in the order in which they came.
func programs(cookies []cookie) (all []*program) {
	type key struct {
		base  string
		fixed bool
	}
	known := map[key]*program{}
	for _, c := range cookies {
		base, _, tagged := strings.Cut(c.name, ".")
		k := key{base, !tagged}
		if _, ok := cookiejar.ParsePair(c.name+"="+c.value, base, k.fixed); !ok || base == "" {
			continue
		}
		if known[k] == nil {
			known[k] = &program{base: base, fixed: k.fixed}
			all = append(all, known[k])
		}
		known[k].cookies = append(known[k].cookies, c)
	}
	return all
}

// header is the Cookie header that a browser would send. A cookie without a
// value comes of a line that removes it, so it is not there.
func (p *program) header() string {
	var all []string
	for _, c := range p.cookies {
		if c.value != "" {
			all = append(all, c.name+"="+c.value)
		}
	}
	return strings.Join(all, "; ")
}

// name is the name of the cookie of a tag and a piece.
func (p *program) name(tag string, piece int) string {
	form := cookiejar.LineFormat{Name: p.base, Fixed: p.fixed}
	return strings.TrimSuffix(string(form.AppendName(nil, tag, piece)), "=")
}

// ours reports whether a program is one to show. Without a name to go by, it is
// if a cookie has a tag of ours, or if the cookie begins as our values do.
func (in *inspection) ours(p *program) bool {
	if in.base != "" {
		return p.base == in.base
	}
	return !p.fixed || slices.ContainsFunc(p.cookies, func(c cookie) bool { return looksSealed(c.value) })
}

// looksSealed reports whether the header of a value is plausible: a name such as
// "session" may be anybody's.
func looksSealed(value string) bool {
	h, err := codec.Peek(value)
	return err == nil && 1 <= h.Format && int(h.Format) <= len(formNames) &&
		h.Total <= codec.MaxOverhead+codec.MaxPlaintext && len(value) == base64.RawURLEncoding.EncodedLen(h.Total)
}

func (in *inspection) report(cookies []cookie) error {
	found := slices.DeleteFunc(programs(cookies), func(p *program) bool { return !in.ours(p) })
	if len(found) == 0 {
		return hint(fmt.Errorf("none of the %s is a session of ours", count(len(cookies), "cookie")),
			"name the session cookie with --name; cookies that scripts may not see are missing in document.cookie")
	}
	w := tabwriter.NewWriter(in.out, 0, 0, 2, ' ', 0)
	for i, p := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		in.reportProgram(w, p)
	}
	return w.Flush()
}

// reportProgram describes each cookie of a program and, if there is a ring, says
// what they are together.
func (in *inspection) reportProgram(w io.Writer, p *program) {
	for _, c := range p.cookies {
		p.jar.Read([]string{c.name + "=" + c.value}, p.base, p.fixed)
	}
	all := make([]opening, len(p.jar.Groups))
	d := description{values: in.values, now: in.now()}
	for i := range all {
		all[i] = in.open(p, &p.jar.Groups[i])
		if c := all[i].content; c != nil && c.Kind == state.Head {
			d.heads = append(d.heads, c)
		}
	}
	if in.ring != nil {
		in.explain(p)
	}
	for i := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		tag := p.jar.Groups[i].Tag
		fmt.Fprintln(w, printable(p.name(tag, 0)))
		printLines(w, in.describeGroup(p, &p.jar.Groups[i], all[i], d))
	}
	if in.ring != nil {
		title := printable(p.base) + ", all together"
		if p.fixed {
			title = printable(p.base) + ", as Config.FixedName"
		}
		fmt.Fprintf(w, "\n%s\n", title)
		printLines(w, p.verdict())
	}
}

func printLines(w io.Writer, lines []line) {
	for _, l := range lines {
		fmt.Fprintf(w, "    %s\t%s\n", l.label, l.text)
	}
}

func (in *inspection) describeGroup(p *program, g *cookiejar.Group, o opening, d description) []line {
	lines := p.sizes(g)
	if o.first == "" && g.HasFirst && g.Last == 0 {
		return append(lines, line{"value", "empty: a line that removes the cookie, or one that was removed"})
	}
	if h, err := codec.Peek(o.first); err == nil {
		lines = append(lines, line{"format", strconv.Itoa(int(h.Format))}, line{"key", in.key(h)})
	}
	if left := g.Last + 1 - o.used; o.err == nil && left > 0 {
		lines = append(lines, line{"", count(left, "piece") + " left over from an older value"})
	}
	switch {
	case o.err != nil && o.sealed:
		return append(lines, line{"seal", "good"}, line{"content", "refused: " + reason.Malformed.String() + ": " + o.err.Error()})
	case o.err != nil:
		return append(lines, line{"seal", refusal(o.err)})
	case in.ring == nil:
		return append(lines, line{"seal", "not checked: that takes --keys FILE"})
	}
	lines = append(append(lines, line{"seal", "good"}), d.of(o.content)...)
	return append(lines, counts(p.cookie(g.Tag))...)
}

// sizes says how much of what a browser keeps each piece takes.
func (p *program) sizes(g *cookiejar.Group) (lines []line) {
	label := "size"
	for i := range p.jar.Pieces {
		piece := &p.jar.Pieces[i]
		if piece.Tag != g.Tag {
			continue
		}
		size := len(p.name(piece.Tag, piece.Index)) + len(piece.Value)
		text := fmt.Sprintf("%d of %d bytes, name and value", size, cookieLimit)
		if size > cookieLimit {
			text += ": too large, browsers drop it"
		}
		if g.Last > 0 {
			text += fmt.Sprintf(" (piece %d)", piece.Index)
		}
		if p.doubled(piece) {
			text += ", one of several under this name"
		}
		lines = append(lines, line{label, text})
		label = ""
	}
	return append(lines, line{"pieces", strconv.Itoa(bits.OnesCount64(p.jar.PieceNumbers(g.Tag)))})
}

// doubled reports whether a name came with several values.
func (p *program) doubled(piece *cookiejar.Piece) bool {
	return slices.ContainsFunc(p.jar.Pieces, func(o cookiejar.Piece) bool {
		return o.Tag == piece.Tag && o.Index == piece.Index && o.Value != piece.Value
	})
}

// opening is what came of opening the cookies of one tag.
type opening struct {
	first   string        // the first piece
	used    int           // pieces that the value has
	sealed  bool          // the seal is good
	content *state.Cookie // nil if it did not open, or if there is no ring
	err     error         // why it did not open
}

// open opens a group. Of several readings it returns the one that the library
// would take.
func (in *inspection) open(p *program, g *cookiejar.Group) (best opening) {
	r := p.jar.Combinations(g)
	for way := range r.Count {
		o := in.openReading(p, g.Tag, r.Combination(way))
		switch {
		case way == 0, o.err == nil && best.err != nil:
			best = o
		case p.fixed && o.content != nil && o.content.Newer(best.content):
			best = o
		}
		if best.err == nil && !p.fixed {
			break
		}
	}
	return best
}

// openReading opens one reading of a group or, without a ring, puts its pieces
// together.
func (in *inspection) openReading(p *program, tag string, pieces []string) opening {
	o := opening{first: pieces[0]}
	piece := func(i int) (string, bool) {
		if i >= len(pieces) || pieces[i] == "" {
			return "", false
		}
		return pieces[i], true
	}
	if in.ring == nil {
		_, o.used, o.err = formats().Join(piece)
		return o
	}
	var plaintext []byte
	b := codec.Binding{Audience: in.audience, Base: p.base, Suffix: tag}
	plaintext, _, o.used, o.err = formats().OpenPieces(nil, in.ring, in.now(), b, piece)
	if o.err != nil {
		return o
	}
	o.sealed = true
	if o.content, o.err = state.Decode(plaintext); o.err == nil {
		o.content.Tag = tag
	}
	return o
}

// key names the key of a value and, if there is a ring, its state.
func (in *inspection) key(h codec.Header) string {
	if in.ring == nil {
		return h.KeyID.String()
	}
	_, is := in.ring.Find(h.KeyID, in.now())
	return h.KeyID.String() + ", " + is.String()
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
