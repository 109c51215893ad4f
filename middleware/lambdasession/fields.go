package lambdasession

import (
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// headerOf builds a header from the fields of an event. It uses the
// multi-value fields if there are any, because they are complete. It merges
// names that differ only in case, in a fixed order.
func headerOf(single map[string]string, multi map[string][]string) map[string][]string {
	h := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(multi)) {
		key := textproto.CanonicalMIMEHeaderKey(name)
		h[key] = append(h[key], multi[name]...)
	}
	if len(multi) > 0 {
		return h
	}
	for _, name := range slices.Sorted(maps.Keys(single)) {
		key := textproto.CanonicalMIMEHeaderKey(name)
		h[key] = append(h[key], single[name])
	}
	return h
}

// check refuses fields that net/http's server would refuse.
func check(h http.Header) error {
	for name, values := range h {
		if !isToken(name) || slices.ContainsFunc(values, func(v string) bool { return !isValue(v) }) {
			return errHeader
		}
	}
	if len(h["Host"]) > 1 {
		return errHeader
	}
	return nil
}

// decodedQuery escapes a query that a REST API has decoded. The event has no
// order of names, so they are sorted.
func decodedQuery(single map[string]string, multi map[string][]string) string {
	values := url.Values(multi)
	if len(multi) == 0 {
		values = url.Values{}
		for name, value := range single {
			values.Set(name, value)
		}
	}
	return values.Encode()
}

// escapedQuery joins a query that a load balancer has left escaped.
func escapedQuery(single map[string]string, multi map[string][]string) string {
	var query strings.Builder
	add := func(name, value string) {
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(escape(name, "&=") + "=" + escape(value, "&"))
	}
	for _, name := range slices.Sorted(maps.Keys(multi)) {
		for _, value := range multi[name] {
			add(name, value)
		}
	}
	if len(multi) > 0 {
		return query.String()
	}
	for _, name := range slices.Sorted(maps.Keys(single)) {
		add(name, single[name])
	}
	return query.String()
}

// escape escapes the bytes that are invalid in a query string, and those in
// also. It does not change existing escapes.
func escape(s, also string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '#' && strings.IndexByte(also, c) < 0 }
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			out.WriteByte(c)
		} else {
			out.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return out.String()
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s is a field value by RFC 9110: it has no control
// characters except tab.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost reports whether s has only characters that are valid in a host and
// port.
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"/\<>?#@^{|}`+"`", c) >= 0 {
			return false
		}
	}
	return true
}
