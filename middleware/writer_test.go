package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/middleware"
	"github.com/carryon-go/carryon/reason"
	"github.com/carryon-go/carryon/session"
)

func login(r *http.Request) { user.Set(session.From(r.Context()), "ada") }

func TestChangesBeforeTheHeaderAreKept(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		status int
		body   string
		h      func(w http.ResponseWriter)
	}{
		"nothing written":   {status: 200, h: func(http.ResponseWriter) {}},
		"WriteHeader":       {status: 201, h: func(w http.ResponseWriter) { w.WriteHeader(201) }},
		"204":               {status: 204, h: func(w http.ResponseWriter) { w.WriteHeader(204) }},
		"304":               {status: 304, h: func(w http.ResponseWriter) { w.WriteHeader(304) }},
		"500":               {status: 500, h: func(w http.ResponseWriter) { w.WriteHeader(500) }},
		"Write":             {status: 200, body: "hi", h: func(w http.ResponseWriter) { _, _ = w.Write([]byte("hi")) }},
		"WriteString":       {status: 200, body: "hi", h: func(w http.ResponseWriter) { _, _ = w.(io.StringWriter).WriteString("hi") }},
		"ReadFrom":          {status: 200, body: "hi", h: func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("hi")) }},
		"io.Copy":           {status: 200, body: "hi", h: func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader("hi")) }},
		"Flush":             {status: 200, h: func(w http.ResponseWriter) { w.(http.Flusher).Flush() }},
		"controller":        {status: 200, h: func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }},
		"HEAD":              {method: "HEAD", status: 200, h: func(w http.ResponseWriter) { _, _ = io.WriteString(w, "hi") }},
		"HEAD, nothing":     {method: "HEAD", status: 200, h: func(http.ResponseWriter) {}},
		"status then write": {status: 404, body: "no", h: func(w http.ResponseWriter) { w.WriteHeader(404); _, _ = io.WriteString(w, "no") }},
		"redirect":          {status: 303, h: func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(303) }},
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, protocol option) {
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) { login(r); test.h(w) }, protocol)
				a := s.request(test.method, "/")
				require.Equal(t, test.status, a.StatusCode)
				require.Equal(t, test.body, a.body)
				require.Len(t, a.Header["Set-Cookie"], 1)
				require.Equal(t, "ada", s.who())
			})
		})
	}
}

func TestChangesAfterTheHeaderAreLate(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"WriteHeader": func(w http.ResponseWriter) { w.WriteHeader(200) },
		"Write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("hi")) },
		"empty Write": func(w http.ResponseWriter) { _, _ = w.Write(nil) },
		"WriteString": func(w http.ResponseWriter) { _, _ = w.(io.StringWriter).WriteString("hi") },
		"io.Copy":     func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader("hi")) },
		"Flush":       func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"controller":  func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, protocol option) {
				var before, after, saved error
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					before = session.From(r.Context()).Load(r.Context())
					write(w)
					login(r)
					after, saved = session.From(r.Context()).Err(), session.From(r.Context()).Save(r.Context())
				}, protocol)
				a := s.get("/")
				require.NoError(t, before)
				require.ErrorIs(t, after, session.ErrLate)
				require.ErrorIs(t, saved, session.ErrLate)
				require.Empty(t, a.Header["Set-Cookie"])
				late := s.events.of(middleware.EventLateChange)
				require.Len(t, late, 1)
				require.Equal(t, "Set", late[0].Detail)
				require.Equal(t, reason.LateChange, late[0].Reason)
				require.Empty(t, s.events.of(middleware.EventLateRead))
				require.Empty(t, s.who())
			})
		})
	}
}

func TestEveryLateChangeIsNamed(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r.Context())
		if r.URL.Path == "/in" {
			login(r)
			return
		}
		w.WriteHeader(200)
		s.Renew()
		s.Destroy()
		s.Clear()
		user.Delete(s)
		user.Pop(s)
		user.Update(s, strings.ToUpper)
	})
	s.get("/in")
	s.get("/")
	var names []string
	for _, e := range s.events.of(middleware.EventLateChange) {
		names = append(names, e.Detail)
	}
	require.Equal(t, []string{"Renew", "Destroy", "Clear", "Delete", "Pop", "Set"}, names)
	require.Len(t, s.events.of(middleware.EventLateRead), 1, "its first read was also after the header was sent")
	require.Equal(t, "ada", s.who())
}

func TestHintsGoThroughAndDoNotCommit(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			login(r)
			_, _ = io.WriteString(w, "hi")
		}, protocol)
		var codes []int
		r, err := http.NewRequest(http.MethodGet, s.URL, nil)
		require.NoError(t, err)
		trace := httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			codes = append(codes, code)
			require.Equal(t, "</style.css>; rel=preload", h.Get("Link"))
			require.Empty(t, h["Set-Cookie"])
			return nil
		}}
		response, err := s.client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), &trace)))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, []int{103, 102}, codes)
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, "ada", s.who())
	})
}

func TestControllerReachesTheServer(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		var errs []error
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			errs = append(errs, c.EnableFullDuplex(), c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour)))
			login(r) // none of these has started the response
			errs = append(errs, c.Flush())
		}, protocol)
		s.get("/")
		require.Equal(t, []error{nil, nil, nil, nil}, errs)
		require.Equal(t, "ada", s.who())
	})
}

func TestWriteDeadlineCutsTheResponse(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second)))
		login(r)
		_, _ = io.WriteString(w, "never sent")
	})
	_, err := s.client.Get(s.URL)
	require.Error(t, err)
	require.Empty(t, s.jar.All())
}

// If the underlying writer cannot flush, a flush does not commit the session.
func TestFlushThatFailsDoesNotCommit(t *testing.T) {
	var err error
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		err = http.NewResponseController(w).Flush()
		w.(http.Flusher).Flush()
		login(r)
	}, outside(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}))
	s.get("/")
	require.ErrorIs(t, err, http.ErrNotSupported)
	require.Equal(t, "ada", s.who())
}

// copying counts the calls of the underlying writer's ReadFrom.
type copying struct {
	http.ResponseWriter
	copies, writes int
}

func (c *copying) ReadFrom(r io.Reader) (int64, error) {
	c.copies++
	return c.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
}

func (c *copying) Write(p []byte) (int, error) {
	c.writes++
	return c.ResponseWriter.Write(p)
}

func TestCopyIsTheServersOwn(t *testing.T) {
	c := &copying{}
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		login(r)
		n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1<<20))})
		require.NoError(t, err)
		require.EqualValues(t, 1<<20, n)
	}, outside(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.ResponseWriter = w
			next.ServeHTTP(c, r)
		})
	}))
	require.Len(t, s.get("/").body, 1<<20)
	require.Equal(t, 1, c.copies, "the whole copy goes to ReadFrom")
	require.Zero(t, c.writes)
	require.Equal(t, "ada", s.who())
}

func TestSuperfluousStatusIsTheServersMatter(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		login(r)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
	})
	a := s.get("/")
	require.Equal(t, http.StatusTeapot, a.StatusCode)
	require.Len(t, a.Header["Set-Cookie"], 1)
	require.Contains(t, s.log.String(), "superfluous response.WriteHeader call")
	require.Equal(t, "ada", s.who())
}

func TestUntouchedResponseIsAsTheHandlerMadeIt(t *testing.T) {
	overBoth(t, func(t *testing.T, protocol option) {
		s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			_, _ = io.WriteString(w, "hi")
		}, protocol)
		a := s.get("/", "Cookie: __Host-session.aaaaaaaaaa=x")
		require.Equal(t, "public, max-age=60", a.Header.Get("Cache-Control"))
		require.Empty(t, a.Header["Vary"])
		require.Empty(t, a.Header["Set-Cookie"])
		require.Empty(t, s.events.of(""))
	})
}

// The outer request gets the parsed form, whose files the server removes, and the
// router's pattern, which outer middleware reads.
func TestRequestOutsideLearnsWhatHappenedInside(t *testing.T) {
	var pattern string
	var form bool
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseMultipartForm(1 << 10)
	}, outside(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			pattern, form = r.Pattern, r.MultipartForm != nil
		})
	}))
	body := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"
	response, err := s.client.Post(s.URL, "multipart/form-data; boundary=x", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "/", pattern)
	require.True(t, form)
}
