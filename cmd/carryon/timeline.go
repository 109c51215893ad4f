package main

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/carryon-go/carryon/internal/span"
	"github.com/carryon-go/carryon/keyring"
)

// pens are the characters of the picture.
type pens struct {
	staged, active, retired, end, open, now, line rune
}

var (
	plainPens = pens{'·', '█', '░', '×', '▶', '▼', '│'}
	asciiPens = pens{'.', '#', '-', 'x', '>', 'v', '|'}
)

// A timeline draws a ring: a bar for each key, with time from left to right.
type timeline struct {
	ring  *keyring.Ring
	now   time.Time
	width int // total columns
	pens  pens
	color bool

	start, end time.Time
	columns    int // columns of the bars
}

const (
	labels   = 10 // columns of an id and the gap after it
	minWidth = 40
	maxWidth = 200
)

func (l *timeline) draw() string {
	l.columns = min(max(l.width, minWidth), maxWidth) - labels
	l.scale()
	rows := []string{l.dates(), l.marker()}
	for _, d := range l.ring.Dead() {
		if d.State == keyring.Revoked && !d.At.Before(l.start) {
			rows = append(rows, l.row(d.ID, func(c canvas) { c.set(l.column(d.At), l.pens.end) }))
		}
	}
	for _, k := range l.ring.Keys() {
		rows = append(rows, l.row(k.ID(), func(c canvas) { l.bar(c, k) }))
	}
	rows = append(rows, l.legend())
	return strings.Join(rows, "\n") + "\n"
}

// scale sets the start and end of the picture, with some room after the last
// time.
func (l *timeline) scale() {
	l.start, l.end = l.now, l.now
	for _, k := range l.ring.Keys() {
		for _, t := range []time.Time{k.Created(), activeSince(k), k.Retires(), k.Expires()} {
			if !t.IsZero() && t.Before(l.start) {
				l.start = t
			}
			if t.After(l.end) {
				l.end = t
			}
		}
	}
	l.end = l.end.Add(max(l.end.Sub(l.start)/20, time.Hour))
}

// column returns the column of a time.
func (l *timeline) column(t time.Time) int {
	part := float64(t.Sub(l.start)) / float64(l.end.Sub(l.start))
	return min(max(int(part*float64(l.columns)), 0), l.columns-1)
}

// A canvas is a row of the picture.
type canvas []rune

func (c canvas) set(i int, r rune) {
	if i >= 0 && i < len(c) {
		c[i] = r
	}
}

// fill draws a range of columns, at least one.
func (c canvas) fill(from, to int, r rune) {
	c.set(from, r)
	for i := from; i < to; i++ {
		c.set(i, r)
	}
}

func (l *timeline) row(id keyring.ID, paint func(canvas)) string {
	c := l.empty()
	c.set(l.column(l.now), l.pens.line)
	paint(c)
	return id.String() + "  " + l.tint(strings.TrimRight(string(c), " "))
}

func (l *timeline) empty() canvas { return canvas(strings.Repeat(" ", l.columns)) }

// bar draws the times of a key. A phase shorter than a column still gets one,
// to the left of the next phase.
func (l *timeline) bar(c canvas, k *keyring.Key) {
	end := l.columns - 1
	last, mark := end, l.pens.open
	if !k.Expires().IsZero() {
		last, mark = l.column(k.Expires()), l.pens.end
	}
	active, retires := l.column(activeSince(k)), last
	if !k.Retires().IsZero() {
		retires = l.column(k.Retires())
		c.fill(retires, last, l.pens.retired)
	}
	if k.Created().Before(k.Activates()) {
		c.fill(min(l.column(k.Created()), active-1), active, l.pens.staged)
	}
	c.fill(active, retires, l.pens.active)
	c.set(last, mark)
}

// dates returns the line with the start and end of the picture.
func (l *timeline) dates() string {
	layout := time.DateOnly
	if l.end.Sub(l.start) < 3*span.Day {
		layout = "2006-01-02T15:04Z"
	}
	from, to := l.start.UTC().Format(layout), l.end.UTC().Format(layout)
	gap := max(l.columns-len(from)-len(to), 1)
	return strings.Repeat(" ", labels) + from + strings.Repeat(" ", gap) + to
}

// marker returns the line that marks the current time.
func (l *timeline) marker() string {
	c, at := l.empty(), l.column(l.now)
	c.set(at, l.pens.now)
	from := at + 2
	if from+3 > l.columns {
		from = at - 4
	}
	for i, r := range "now" {
		c.set(from+i, r)
	}
	return strings.Repeat(" ", labels) + strings.TrimRight(string(c), " ")
}

// legend returns the legend, in as many lines as it needs.
func (l *timeline) legend() string {
	p := l.pens
	text, used := "", 0
	for _, e := range []struct {
		pen  rune
		text string
	}{{p.staged, "staged"}, {p.active, "active"}, {p.retired, "retired"}, {p.end, "end"}, {p.open, "open"}} {
		wide := len("x " + e.text)
		switch {
		case used == 0 || used+2+wide > l.columns:
			text, used = text+"\n"+strings.Repeat(" ", labels), wide
		default:
			text, used = text+"  ", used+2+wide
		}
		text += l.tint(string(e.pen)) + " " + e.text
	}
	return text[1:]
}

// tint colors each run of a character, if colors are on.
func (l *timeline) tint(s string) string {
	if !l.color {
		return s
	}
	colors := map[rune]string{l.pens.staged: "33", l.pens.active: "32", l.pens.retired: "34", l.pens.end: "31"}
	var b strings.Builder
	last := ""
	for _, r := range s {
		if c := colors[r]; c != last {
			b.WriteString("\x1b[" + c + "m") // without a number: reset
			last = c
		}
		b.WriteRune(r)
	}
	if last != "" && utf8.RuneCountInString(s) > 0 {
		b.WriteString("\x1b[m")
	}
	return b.String()
}
