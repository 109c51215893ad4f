package sqlstore

import (
	"strconv"
	"strings"
)

// queries are the statements of a store, for its dialect and table. Whatever
// comes from outside is a parameter; the table's name was checked.
type queries struct {
	load, create, replace, update, touch, remove string
	stands, count, clear, expired                string
	dialect                                      Dialect
	table                                        string
}

func newQueries(d Dialect, table string) queries {
	q := queries{dialect: d, table: table}
	q.load = q.bind("SELECT number, tag, data, expires FROM " + table + " WHERE id = ? AND expires > ?")
	q.update = q.bind("UPDATE " + table + " SET number = ?, tag = ?, data = ?, expires = ?" +
		" WHERE id = ? AND expires > ? AND number = ? AND tag = ?")
	q.touch = q.bind("UPDATE " + table + " SET expires = ? WHERE id = ? AND expires > ?")
	q.remove = q.bind("DELETE FROM " + table + " WHERE id = ?")
	q.stands = q.bind("SELECT number, tag FROM " + table + " WHERE id = ? AND expires > ?")
	q.count = q.bind("SELECT COUNT(*) FROM " + table + " WHERE expires > ?")
	q.clear = "DELETE FROM " + table
	q.expired = q.bind("SELECT id FROM " + table + " WHERE expires <= ? ORDER BY expires LIMIT ?")
	return q.withCreate()
}

// withCreate adds what puts a record where none stands, or only one that has
// expired. MySQL cannot say that in one statement: how many rows an INSERT ...
// ON DUPLICATE KEY UPDATE has changed does not tell, under clientFoundRows,
// whether one was there before. So it is tried as new, then over an expired
// one. Not by INSERT IGNORE, which makes warnings of errors and cuts the data
// to what the column holds.
func (q queries) withCreate() queries {
	const columns = " (id, number, tag, data, expires) VALUES (?, ?, ?, ?, ?)"
	if q.dialect == MySQL {
		q.create = "INSERT INTO " + q.table + columns
		q.replace = "UPDATE " + q.table + " SET number = ?, tag = ?, data = ?, expires = ? WHERE id = ? AND expires <= ?"
		return q
	}
	q.create = q.bind("INSERT INTO " + q.table + " AS r" + columns +
		" ON CONFLICT (id) DO UPDATE SET number = excluded.number, tag = excluded.tag," +
		" data = excluded.data, expires = excluded.expires WHERE r.expires <= ?")
	return q
}

// sweep removes n records by their ids, those that still are expired.
func (q queries) sweep(n int) string {
	return q.bind("DELETE FROM " + q.table + " WHERE expires <= ? AND id IN (?" + strings.Repeat(", ?", n-1) + ")")
}

// bind numbers the parameters where the dialect wants that. No statement has
// a question mark of another meaning.
func (q queries) bind(query string) string {
	if q.dialect != Postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for _, c := range query {
		if c != '?' {
			b.WriteRune(c)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}
