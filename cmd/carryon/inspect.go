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
	cookieLimit = 4096    // limit of browsers for name and value of a cookie
)

// An inspection is one run of the command.
type inspection struct {
	*ui
	ring     *keyring.Ring // nil: show only what needs no key
	base     string        // "": all that look like session cookies
	audience string
	values   bool
	idle     time.Duration
}

// inspect reports on the session cookies on standard input.
func inspect(u *ui, args []string) error {
	set := u.flags()
	in := inspection{ui: u}
	file := set.String("keys", "", "open the values with the key ring in `FILE`")
	set.StringVar(&in.base, "name", "", "show only the session cookies with the base name `BASE`, such as __Host-session; by default, show all that look like session cookies")
	set.StringVar(&in.audience, "audience", "", "open the cookies for the audience `A`; use the program's Config.Audience")
	set.BoolVar(&in.values, "values", false, "show the values of the session's entries, which may be secret")
	set.DurationVar(&in.idle, "idle", middleware.DefaultIdleTimeout, "use the idle timeout `D`, the program's Config.Lifetimes.Idle; a negative one means no timeout")
	u.unwrapFlag(set)
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
		return usageError{errors.New("--values and --audience need --keys, because only a key opens a cookie")}
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

// paste reads standard input. On a terminal it first says what to paste.
func (u *ui) paste() (string, error) {
	if u.canAsk() {
		u.note(`paste a Cookie header, Set-Cookie lines, the output of document.cookie, or a request from your browser's "copy as cURL"; then end the input (Ctrl-D; on Windows Ctrl-Z and Enter)`)
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

// A program holds the cookies of one program: those that share a base name and
// a form.
type program struct {
	base    string
	fixed   bool // Config.Cookie.FixedName: one cookie of exactly that name
	cookies []cookie
	jar     cookiejar.Jar
	found   middleware.Explanation
	fault   error // why the library could not explain the cookies
}

// programs groups cookies by program, in the order in which the programs first
// appear.
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

// header returns the Cookie header that a browser would send. It leaves out
// cookies without a value: they come from a Set-Cookie line that removes a
// cookie.
func (p *program) header() string {
	var all []string
	for _, c := range p.cookies {
		if c.value != "" {
			all = append(all, c.name+"="+c.value)
		}
	}
	return strings.Join(all, "; ")
}

// name returns the name of the cookie that has a tag and a piece.
func (p *program) name(tag string, piece int) string {
	form := cookiejar.LineFormat{Name: p.base, Fixed: p.fixed}
	return strings.TrimSuffix(string(form.AppendName(nil, tag, piece)), "=")
}

// ours reports whether to show a program. If no name was given, its cookies
// must have tags or look sealed.
func (in *inspection) ours(p *program) bool {
	if in.base != "" {
		return p.base == in.base
	}
	return !p.fixed || slices.ContainsFunc(p.cookies, func(c cookie) bool { return looksSealed(c.value) })
}

// looksSealed reports whether a value begins with a plausible header. The name
// alone proves nothing: any program can call a cookie "session".
func looksSealed(value string) bool {
	h, err := codec.Peek(value)
	return err == nil && 1 <= h.Format && int(h.Format) <= len(formNames) &&
		h.Total <= codec.MaxOverhead+codec.MaxPlaintext && len(value) == base64.RawURLEncoding.EncodedLen(h.Total)
}

func (in *inspection) report(cookies []cookie) error {
	found := slices.DeleteFunc(programs(cookies), func(p *program) bool { return !in.ours(p) })
	if len(found) == 0 {
		return hint(fmt.Errorf("none of the %s is a session cookie of carryon", count(len(cookies), "cookie")),
			"name the session cookie with --name; document.cookie does not contain HttpOnly cookies")
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

// reportProgram describes each cookie of a program. With a key ring it also
// reports how the library judges the cookies together.
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
			title = printable(p.base) + ", as Config.Cookie.FixedName"
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
		return append(lines, line{"value", "empty: the cookie was removed, or this line removes it"})
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
		return append(lines, line{"seal", "not checked; use --keys FILE"})
	}
	lines = append(append(lines, line{"seal", "good"}), d.of(o.content)...)
	return append(lines, counts(p.cookie(g.Tag))...)
}

// sizes returns the size of each piece, and the limit of browsers.
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
		if p.hasOtherValue(piece) {
			text += ", one of several under this name"
		}
		lines = append(lines, line{label, text})
		label = ""
	}
	return append(lines, line{"pieces", strconv.Itoa(bits.OnesCount64(p.jar.PieceNumbers(g.Tag)))})
}

// hasOtherValue reports whether a name appears with different values.
func (p *program) hasOtherValue(piece *cookiejar.Piece) bool {
	return slices.ContainsFunc(p.jar.Pieces, func(o cookiejar.Piece) bool {
		return o.Tag == piece.Tag && o.Index == piece.Index && o.Value != piece.Value
	})
}

// An opening is the result of opening the cookies of one tag.
type opening struct {
	first   string        // the first piece
	used    int           // number of pieces of the value
	sealed  bool          // the seal is valid
	content *state.Cookie // nil if it did not open, or if no ring was given
	err     error         // why it did not open
}

// open opens a group. A group with several readings yields the reading that the
// library would choose.
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

// openReading opens one reading of a group. Without a ring it only joins the
// pieces.
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

// key returns the id of the key of a value and, with a ring, the state of the
// key.
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

// printable quotes a name that contains characters which do not print.
func printable(name string) string {
	if q := quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}
