package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
	"unicode/utf8"
)

// User is the small value that every page needs: "read" reads its key. Name
// comes first so that a floor can find it in the JSON.
type User struct {
	Name  string    `json:"name"`
	ID    int64     `json:"id"`
	Email string    `json:"email"`
	Roles []string  `json:"roles"`
	Since time.Time `json:"since,omitzero"`
}

// Prefs are a visitor's settings, with a draft text of any length.
type Prefs struct {
	Language string `json:"language"`
	Theme    string `json:"theme"`
	Zone     string `json:"zone"`
	Draft    string `json:"draft"`
}

// An Item is a line of the shopping cart, which is most of a large session.
type Item struct {
	SKU      string    `json:"sku"`
	Title    string    `json:"title"`
	Quantity int       `json:"quantity"`
	Cents    int64     `json:"cents"`
	Added    time.Time `json:"added"`
}

// Data is a visitor's session. Each contestant stores its four parts under
// separate keys, as users of its library would.
type Data struct {
	User  User   `json:"user"`
	CSRF  string `json:"csrf"` // replaced by "change"
	Prefs Prefs  `json:"prefs,omitzero"`
	Cart  []Item `json:"cart,omitempty"`
}

// A Size is the length of a session's JSON, in bytes.
type Size int

// Sizes are the measured sizes: little more than a name, an ordinary session,
// about the largest session for one cookie, and two that need several.
var Sizes = []Size{120, 1000, 2500, 8000, 64_000}

// String returns the size as in benchmark names: 120B, 1KB, 2.5KB.
func (s Size) String() string {
	if s < 1000 {
		return fmt.Sprintf("%dB", int(s))
	}
	return fmt.Sprintf("%gKB", float64(s)/1000)
}

// smallestFull is the smallest size of a session with preferences and a cart.
const smallestFull = 400

var began = time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)

// NewData returns a session whose JSON has exactly size bytes. It is the same
// on every call and every machine. Sizes below 120 are an error. Do not modify
// the result: all cells of a size share it.
func NewData(size Size) (Data, error) {
	if d, ok := made.Load(size); ok {
		return d.(Data), nil
	}
	d, err := newData(size)
	if err == nil {
		made.Store(size, d)
	}
	return d, err
}

var made sync.Map // from Size to Data

func newData(size Size) (Data, error) {
	if size < smallestFull {
		d := Data{User: User{Name: "张三", ID: 10042, Roles: []string{"editor"}}, CSRF: token(0)}
		return fill(&d, &d.User.Email, size)
	}
	d := Data{
		User:  User{"欧阳 Grace 明月", 10042, "grace.ouyang@example.com", []string{"editor", "buyer", "审核员"}, began},
		CSRF:  token(0),
		Prefs: Prefs{Language: "zh-CN", Theme: "dark", Zone: "Asia/Shanghai"},
	}
	random := rand.New(rand.NewPCG(1, 2))
	left := int(size) - jsonLen(d) - len(`,"cart":[]`)
	for {
		item := newItem(random)
		if left -= jsonLen(item) + len(","); left < 0 {
			return fill(&d, &d.Prefs.Draft, size)
		}
		d.Cart = append(d.Cart, item)
	}
}

var titles = []string{
	"青花瓷茶壶 500 ml", "Notebook A5, dotted", "龙井茶 明前 特级 250 g", "USB-C cable 2 m",
	"机械键盘 87 键", "Umbrella, windproof", "《红楼梦》精装", "Wool socks, grey, 3 pairs",
}

func newItem(r *rand.Rand) Item {
	return Item{
		SKU:      fmt.Sprintf("SKU-%08X", r.Uint32()),
		Title:    titles[r.IntN(len(titles))],
		Quantity: 1 + r.IntN(4),
		Cents:    int64(199 + r.IntN(50000)),
		Added:    began.Add(time.Duration(r.IntN(86400)) * time.Second),
	}
}

// fill fills field, a part of d, with text until d's JSON has size bytes.
func fill(d *Data, field *string, size Size) (Data, error) {
	missing := int(size) - jsonLen(d)
	if missing < 0 {
		return Data{}, fmt.Errorf("bench: no session has a JSON of %d bytes: the minimum is %d", size, int(size)-missing)
	}
	*field = text(missing)
	return *d, nil
}

func jsonLen(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings, numbers and times defined in this file
	}
	return len(b)
}

// text returns n bytes of prose in valid UTF-8.
func text(n int) string {
	const prose = "请尽快发货, please ring twice at the back door; 谢谢您的耐心等待. "
	b := make([]byte, 0, n)
	for len(b) < n {
		b = append(b, prose[:min(len(prose), n-len(b))]...)
	}
	for cut := len(b); !utf8.Valid(b); cut-- {
		b[cut-1] = '.'
	}
	return string(b)
}
