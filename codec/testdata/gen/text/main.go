// Text generates vectors of values that are not canonical base64url, or that
// were truncated or extended.
package main

import . "github.com/carryon-go/carryon/codec/testdata/gen/sealedform"

func main() {
	v := Usual("hello", "text")
	good := v.Text() // 85 bytes: 112 characters, plus 2 in the last group
	spare := string(good[113] + 1)
	at40 := func(s string) string { return good[:40] + s + good[40+len(s):] }
	Write("Texts that are not what base64url gives, and values with a part missing or added.",
		Refused("plus", at40("+"), "malformed"),
		Refused("slash", at40("/"), "malformed"),
		Refused("equals sign", at40("="), "malformed"),
		Refused("space", at40(" "), "malformed"),
		Refused("tab", at40("\t"), "malformed"),
		Refused("percent", at40("%"), "malformed"),
		Refused("line feed", at40("\n"), "malformed"),
		Refused("carriage return", at40("\r"), "malformed"),
		Refused("NUL", at40("\x00"), "malformed"),
		Refused("not ASCII", at40("é"), "malformed"),
		Refused("spare bits", good[:113]+spare, "malformed"),
		Refused("padding", good+"==", "malformed").Joins("torn"),
		Refused("line feed added", good+"\n", "malformed").Joins("torn"),
		Refused("line ending added", good+"\r\n", "malformed").Joins("torn"),
		Refused("line ending inside", good[:40]+"\r\n"+good[40:], "malformed").Joins("torn"),
		Refused("quotes around", `"`+good+`"`, "malformed").Joins("malformed"),
		Refused("a lone character", good[:113], "malformed").Joins("torn"),
		Refused("cut by a group", good[:108], "wrong length").Joins("torn"),
		Refused("cut to the header", good[:12], "wrong length").Joins("torn"),
		Refused("cut into the header", good[:11], "wrong length").Joins("wrong length"),
		Refused("nothing", "", "wrong length").Joins("torn"),
		Refused("a byte added", Text(append(v.Bytes(), 0)), "wrong length").Joins("torn"),
		Refused("itself added", Text(append(v.Bytes(), v.Bytes()...)), "wrong length").Joins("torn"),
	)
}
