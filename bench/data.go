package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
	"unicode/utf8"
)

// User is the small value that every page asks for: the key that "read" reads.
// Name comes first so that a floor can point at it in the JSON.
type User struct {
	Name  string    `json:"name"`
	ID    int64     `json:"id"`
	Email string    `json:"email"`
	Roles []string  `json:"roles"`
	Since time.Time `json:"since,omitzero"`
}

// Prefs is what a visitor has chosen, with a draft text of any length.
type Prefs struct {
	Language string `json:"language"`
	Theme    string `json:"theme"`
	Zone     string `json:"zone"`
	Draft    string `json:"draft"`
}

// Item is one line of the shopping cart, which is most of a large session.
type Item struct {
	SKU      string    `json:"sku"`
	Title    string    `json:"title"`
	Quantity int       `json:"quantity"`
	Cents    int64     `json:"cents"`
	Added    time.Time `json:"added"`
}

// Data is one visitor's session. Each contestant keeps its four parts as a user
// of that library would: under a key each.
type Data struct {
	User  User   `json:"user"`
	CSRF  string `json:"csrf"` // the key that "change" changes
	Prefs Prefs  `json:"prefs,omitzero"`
	Cart  []Item `json:"cart,omitempty"`
}

// Size is a number of bytes of a session's JSON.
type Size int

// Sizes are the sizes measured: little more than a name, an ordinary session,
// about the most that fits one cookie, and two that take several.
var Sizes = []Size{120, 1000, 2500, 8000, 64_000}

// String gives the size as it stands in benchmark names: 120B, 1KB, 2.5KB.
func (s Size) String() string {
	if s < 1000 {
		return fmt.Sprintf("%dB", int(s))
	}
	return fmt.Sprintf("%gKB", float64(s)/1000)
}

// smallestFull is the size from which a session has preferences and a cart.
const smallestFull = 400

var began = time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)

// NewData makes the session whose JSON is exactly size bytes, the same on every
// call and every machine. Sizes under 120 are an error. Nobody may change what
// is in it: all cells of a size share it.
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

var made sync.Map // of Size to Data

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

// fill writes text into field, which lies in d, until d's JSON has size bytes.
func fill(d *Data, field *string, size Size) (Data, error) {
	missing := int(size) - jsonLen(d)
	if missing < 0 {
		return Data{}, fmt.Errorf("bench: no session has a JSON of %d bytes: the least is %d", size, int(size)-missing)
	}
	*field = text(missing)
	return *d, nil
}

func jsonLen(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and times of this file only
	}
	return len(b)
}

// text gives n bytes of prose, never half a character.
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
