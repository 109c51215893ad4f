// Pieces generates vectors of values in several cookies.
package main

import (
	"strings"

	. "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"
)

// The value of these vectors: 240 characters in pieces of 60.
var (
	plaintext = strings.Repeat("x", 100)
	value     = Usual(plaintext, "pieces")
	p         = cut(value.Text(), 60)
	q         = cut(Usual(plaintext, "other pieces").Text(), 60)
	missing   = "\x00"
)

func cut(text string, sizes ...int) (pieces []string) {
	for i := 0; text != ""; i++ {
		n := min(sizes[min(i, len(sizes)-1)], len(text))
		pieces, text = append(pieces, text[:n]), text[n:]
	}
	return pieces
}

func vector(name string, pieces []string) Vector {
	v := Vector{Name: name, Base: Base, Suffix: Suffix}
	for _, s := range pieces {
		if s == missing {
			v.Pieces = append(v.Pieces, nil)
		} else {
			v.Pieces = append(v.Pieces, &s)
		}
	}
	return v
}

func opens(name string, used int, pieces ...string) Vector {
	v := vector(name, pieces)
	v.Open, v.Used, v.Plaintext, v.Steps = "ok", used, Hex(plaintext), value
	return v
}

func torn(name string, pieces ...string) Vector { return vector(name, pieces).Joins("torn") }

func badSeal(name string, pieces ...string) Vector {
	v := vector(name, pieces)
	v.Open = "bad seal"
	return v
}

func main() {
	text := value.Text()
	Write("Values in pieces.",
		opens("one piece", 1, text),
		opens("four pieces", 4, p...),
		opens("smallest first piece", 5, cut(text, 12, 60)...),
		opens("uneven pieces", 4, cut(text, 100, 1, 138, 1)...),
		opens("a piece left over", 4, p[0], p[1], p[2], p[3], q[3]),
		opens("an empty piece left over", 4, p[0], p[1], p[2], p[3], ""),
		opens("a piece left over behind a gap", 4, p[0], p[1], p[2], p[3], missing, q[3]),
		torn("first missing", missing, p[1], p[2], p[3]),
		torn("middle missing", p[0], missing, p[2], p[3]),
		torn("last missing", p[0], p[1], p[2]),
		torn("first empty", "", p[1], p[2], p[3]),
		torn("middle empty", p[0], p[1], "", p[2], p[3]),
		torn("last cut", p[0], p[1], p[2], p[3][:59]),
		torn("last too long", p[0], p[1], p[2], p[3]+"A"),
		torn("first too long", text+"A"),
		torn("middle grown over the end", p[0], p[1]+p[2], p[3]+"A"),
		torn("more than 64 pieces", cut(text, 12, 1)...),
		vector("first too short for the header", cut(text, 11, 60)).Joins("wrong length"),
		badSeal("middle pieces swapped", p[0], p[2], p[1], p[3]),
		badSeal("a piece twice", p[0], p[1], p[1], p[3]),
		badSeal("a piece of another value", p[0], p[1], q[2], p[3]),
		badSeal("first piece of another value", q[0], p[1], p[2], p[3]),
	)
}
