package lambdatest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const prefix = "/2018-06-01/runtime/"

// ServeHTTP implements the Runtime API.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, _ := strings.CutPrefix(r.URL.Path, prefix)
	parts := strings.Split(path, "/")
	switch {
	case r.Method == http.MethodGet && path == "invocation/next":
		f.next(w, r)
	case r.Method == http.MethodPost && len(parts) == 3 && parts[0] == "invocation" && (parts[2] == "response" || parts[2] == "error"):
		f.answer(w, r, parts[1], parts[2])
	default:
		f.t.Errorf("the Runtime API has no %s %s", r.Method, r.URL.Path)
		http.NotFound(w, r)
	}
}

// next waits for an event and sends it.
func (f *Function) next(w http.ResponseWriter, r *http.Request) {
	var event []byte
	select {
	case event = <-f.events:
	case <-r.Context().Done():
		return
	case <-f.done:
		return
	}
	budget := f.Budget
	if budget == 0 {
		budget = time.Minute
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", requestID())
	h.Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(budget).UnixMilli()))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:111122223333:function:function")
	h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
	_, _ = w.Write(event)
}

// requestID returns a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// answer reads the answer of the process as it arrives.
func (f *Function) answer(w http.ResponseWriter, r *http.Request, id, kind string) {
	a := Answer{RequestID: id, Kind: kind, ContentType: r.Header.Get("Content-Type")}
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Body.Read(chunk)
		a.Body = append(a.Body, chunk[:n]...)
		if n > 0 && f.OnChunk != nil {
			f.OnChunk(chunk[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return // the process has ended
		}
	}
	a.ErrorType = r.Trailer.Get("Lambda-Runtime-Function-Error-Type")
	w.WriteHeader(http.StatusAccepted)
	select {
	case f.answers <- a:
	case <-f.done:
	}
}
