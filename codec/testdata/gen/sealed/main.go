// Sealed generates vectors of values that open, with all intermediate values.
package main

import (
	"strings"

	. "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"
)

func opens(name string, key int, audience, base, suffix, plaintext string) Vector {
	v := Seal(key, audience, base, suffix, plaintext, name)
	return Vector{
		Name: name, Audience: audience, Base: base, Suffix: suffix,
		Value: v.Text(), Open: "ok", Used: 1, Plaintext: Hex(plaintext), Steps: v,
	}
}

func main() {
	Write("Values that open.",
		opens("short", 1, "", Base, Suffix, "hello"),
		opens("empty", 1, "", Base, Suffix, ""),
		opens("one byte", 1, "", Base, Suffix, "\x00"),
		opens("two bytes", 1, "", Base, Suffix, "\xff\xff"),
		opens("a block", 1, "", Base, Suffix, "0123456789abcdef"),
		opens("chinese", 1, "", Base, Suffix, `{"user":"张三","greeting":"欢迎回来"}`),
		opens("an audience", 1, "shop.example", Base, Suffix, "hello"),
		opens("no suffix", 1, "", "__session", "", "hello"),
		opens("binding of any bytes", 1, "受众\x00", "__Secure-a!#$%&'*+-^_`|~", "", "hello"),
		opens("second key", 2, "", Base, Suffix, "hello"),
		opens("a kilobyte", 1, "", Base, Suffix, strings.Repeat("0123456789abcde\n", 64)),
		opens("five kilobytes", 1, "", Base, Suffix, strings.Repeat("\x00", 5000)),
	)
}
