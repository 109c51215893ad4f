package sessiontest_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/carryon-go/carryon/sessiontest"
)

func ExampleJar() {
	jar := &sessiontest.Jar{}
	jar.Set("theme=dark; Path=/; Max-Age=3600; Secure")
	jar.Set("__Host-id=1; Secure") // refused: a __Host- cookie needs Path=/
	fmt.Println(jar.Header("https://app.example/settings"))

	big := "big=" + strings.Repeat("v", 4096)
	fmt.Println(jar.Set(big), jar.Names())
	// Output:
	// theme=dark
	// false [theme]
}

func ExampleJar_CrossSite() {
	jar := &sessiontest.Jar{}
	jar.Set("__Host-session=sealed; Path=/; Secure; HttpOnly; SameSite=Lax")

	link := jar.CrossSite(http.MethodGet, "/news", nil, true)
	form := jar.CrossSite(http.MethodPost, "/logout", nil, true)
	fmt.Printf("%q %q\n", link.Header.Get("Cookie"), form.Header.Get("Cookie"))
	// Output: "__Host-session=sealed" ""
}
