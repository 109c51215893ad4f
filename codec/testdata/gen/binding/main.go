// Binding generates vectors of valid values that are presented under another
// binding.
package main

import . "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"

// moved seals for one binding and presents the value under another. The reader
// cannot distinguish a value for another binding from an invalid one.
func moved(name string, from, to [3]string) Vector {
	return Vector{
		Name: name, Audience: to[0], Base: to[1], Suffix: to[2],
		Value: Seal(1, from[0], from[1], from[2], "hello", name).Text(), Open: "bad seal",
	}
}

func main() {
	Write("Values that were sealed for another binding than they are opened with.",
		moved("another suffix", [3]string{"", Base, Suffix}, [3]string{"", Base, "aaaaaaaaaa"}),
		moved("suffix taken away", [3]string{"", Base, Suffix}, [3]string{"", Base, ""}),
		moved("suffix added", [3]string{"", Base, ""}, [3]string{"", Base, Suffix}),
		moved("another base", [3]string{"", Base, Suffix}, [3]string{"", "__Host-other", Suffix}),
		moved("another prefix", [3]string{"", Base, Suffix}, [3]string{"", "__Secure-session", Suffix}),
		moved("base in another case", [3]string{"", Base, Suffix}, [3]string{"", "__host-session", Suffix}),
		moved("another audience", [3]string{"staging", Base, Suffix}, [3]string{"production", Base, Suffix}),
		moved("audience taken away", [3]string{"staging", Base, Suffix}, [3]string{"", Base, Suffix}),
		moved("audience added", [3]string{"", Base, Suffix}, [3]string{"staging", Base, Suffix}),
		moved("audience and base moved together", [3]string{"ab", "c", "d"}, [3]string{"a", "bc", "d"}),
		moved("base and suffix moved together", [3]string{"a", "bc", "d"}, [3]string{"a", "b", "cd"}),
		moved("base and suffix swapped", [3]string{"", "a", "b"}, [3]string{"", "b", "a"}),
		moved("length prefix in the name", [3]string{"", "a", "b"}, [3]string{"", "a\x00\x00\x00\x01b", ""}),
	)
}
