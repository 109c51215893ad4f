package session_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/session"
	"github.com/carryon-go/carryon/sessiontest"
)

func TestGetSetDelete(t *testing.T) {
	s := sessiontest.New(t)
	u, ok := user.Get(s)
	require.False(t, ok)
	require.Zero(t, u)

	user.Set(s, User{Name: "张三"})
	u, ok = user.Get(s)
	require.True(t, ok)
	require.Equal(t, User{Name: "张三"}, u)
	require.True(t, s.Has("user"))

	user.Set(s, User{})
	_, ok = user.Get(s)
	require.True(t, ok, "a zero value is a value")

	user.Delete(s)
	_, ok = user.Get(s)
	require.False(t, ok)
	user.Delete(s)
	require.Empty(t, s.Names())
}

func TestNilIsAValue(t *testing.T) {
	s := sessiontest.New(t)
	session.Key[*User]("p").Set(s, nil)
	p, ok := session.Key[*User]("p").Get(s)
	require.True(t, ok)
	require.Nil(t, p)
	require.True(t, s.Has("p"))
}

func TestUpdate(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(words, []string{"一"}))
	words.Update(s, func(w []string) []string { return append(w, "二") })
	got, _ := words.Get(s)
	require.Equal(t, []string{"一", "二"}, got)

	count.Update(s, func(n int) int {
		require.Zero(t, n, "of what is not there, the zero value")
		_, ok := user.Get(s)
		require.False(t, ok, "f may use the session")
		return n + 1
	})
	n, _ := count.Get(s)
	require.Equal(t, 1, n)

	count.Delete(s)
	count.Update(s, func(n int) int { return n + 10 })
	n, _ = count.Get(s)
	require.Equal(t, 10, n, "what was deleted is not there")
}

func TestUpdateToWhatCannotBeEncoded(t *testing.T) {
	s, _ := stubbed(t, &stub{})
	k := session.Key[any]("k")
	k.Set(s, 1)
	k.Update(s, func(any) any { return make(chan int) })
	require.Error(t, s.Err())
	v, _ := k.Get(s)
	require.EqualValues(t, 1, v)
}

func TestPop(t *testing.T) {
	s := sessiontest.New(t, sessiontest.With(text, "已保存"))
	v, ok := text.Pop(s)
	require.True(t, ok)
	require.Equal(t, "已保存", v)
	v, ok = text.Pop(s)
	require.False(t, ok)
	require.Empty(t, v)

	text.Set(s, "new")
	v, ok = text.Pop(s)
	require.True(t, ok)
	require.Equal(t, "new", v)
}

func TestPopIsGoneInTheNextRequest(t *testing.T) {
	v := newVisitor(t)
	v.visit(func(s *session.Session) { text.Set(s, "已保存"); count.Set(s, 1) })
	require.True(t, v.changed(t, func(s *session.Session) { text.Pop(s) }))
	v.visit(func(s *session.Session) { require.Equal(t, []string{"count"}, s.Names()) })
}

// Two keys with one name share a value.
func TestKeysOfOneName(t *testing.T) {
	s := sessiontest.New(t)
	session.Key[int32]("n").Set(s, 7)
	n, ok := session.Key[uint64]("n").Get(s)
	require.True(t, ok)
	require.EqualValues(t, 7, n)
	_, ok = session.Key[int8]("n").Get(s)
	require.True(t, ok)
	session.Key[int32]("n").Set(s, 700)
	_, ok = session.Key[int8]("n").Get(s)
	require.False(t, ok, "700 is no int8")
}

// Keys can be constants.
const (
	inBlock session.Key[[]map[string]*User] = "block"
	derived                                 = inBlock + "/derived"
	size                                    = len(inBlock)
)

type keys struct {
	user session.Key[User]
	list [size]int
}

var byKey = map[session.Key[User]]string{user: "the visitor"}

func name(k session.Key[User]) string {
	switch k {
	case user:
		return "user"
	case "impersonated":
		return "impersonated"
	}
	return ""
}

func generic[T any, K ~string](s *session.Session, name K, v T) (T, bool) {
	k := session.Key[T](name)
	k.Set(s, v)
	return k.Get(s)
}

type store[T any] struct{ key session.Key[T] }

func (x store[T]) swap(s *session.Session, v T) (old T) {
	x.key.Update(s, func(have T) T { old = have; return v })
	return old
}

func TestKeysAreConstants(t *testing.T) {
	const local session.Key[float64] = "local"
	s := sessiontest.New(t)

	local.Set(s, 0.5)
	derived.Set(s, []map[string]*User{{"a": {Name: "张三"}}})
	got, _ := derived.Get(s)
	require.Equal(t, "张三", got[0]["a"].Name)
	require.Equal(t, []string{"block/derived", "local"}, s.Names())

	k := keys{user: user}
	require.Len(t, k.list, 5)
	k.user.Set(s, User{Name: "李四"})
	u, _ := user.Get(s)
	require.Equal(t, "李四", u.Name)

	require.Equal(t, "the visitor", byKey["user"])
	require.Equal(t, "user", name(user))
	require.Equal(t, "impersonated", name("impersonated"))
	require.Equal(t, "user", string(user))
	require.Equal(t, "user", fmt.Sprint(user))

	n, ok := generic(s, user, 5) // the name of another key
	require.True(t, ok)
	require.Equal(t, 5, n)
	x := store[string]{key: "x"}
	require.Empty(t, x.swap(s, "one"))
	require.Equal(t, "one", x.swap(s, "two"))
}

// A request's goroutines share its session. The race detector watches this.
func TestGoroutines(t *testing.T) {
	v := newVisitor(t)
	v.visit(func(s *session.Session) { count.Set(s, 0) })
	const workers, rounds = 8, 50
	v.visit(func(s *session.Session) {
		var all sync.WaitGroup
		for i := range workers {
			all.Go(func() {
				mine := session.Key[int](fmt.Sprintf("worker %d", i))
				for j := range rounds {
					count.Update(s, func(n int) int { return n + 1 })
					words.Update(s, func(w []string) []string { return append(w, "") })
					mine.Set(s, j)
					use(s)
				}
			})
		}
		all.Wait()
		w, _ := words.Get(s)
		require.Len(t, w, workers*rounds)
		words.Delete(s)
	})
	v.visit(func(s *session.Session) {
		n, _ := count.Get(s)
		require.Equal(t, workers*rounds, n, "no update is lost")
		for i := range workers {
			n, _ := session.Key[int](fmt.Sprintf("worker %d", i)).Get(s)
			require.Equal(t, rounds-1, n)
		}
	})
}

// use calls the other methods that goroutines may call.
func use(s *session.Session) {
	user.Get(s)
	text.Set(s, "v")
	text.Pop(s)
	s.Has("count")
	s.Names()
	s.Reason()
	s.ID()
	s.IsNew()
	s.Created()
	s.Expires()
	_ = s.Err()
}

// Goroutines that outlive their request cannot change the session.
func TestGoroutinesBeyondTheRequest(t *testing.T) {
	v := newVisitor(t)
	var outlives sync.WaitGroup
	v.visit(func(s *session.Session) {
		text.Set(s, "set")
		outlives.Go(func() {
			for range 200 {
				count.Update(s, func(n int) int { return n + 1 })
				use(s)
				s.Renew()
			}
		})
	})
	outlives.Wait()
	v.visit(func(s *session.Session) { require.False(t, s.Has("nothing of it breaks the next request")) })
}
