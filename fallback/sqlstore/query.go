package sqlstore

import (
	"strconv"
	"strings"
)

// queries holds the statements of a store, for its dialect and table. All
// external values are parameters; the table's name has been validated.
type queries struct {
	load, create, replace, update, touch, remove string
	revision, count, clear, expired              string
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
	q.revision = q.bind("SELECT number, tag FROM " + table + " WHERE id = ? AND expires > ?")
	q.count = q.bind("SELECT COUNT(*) FROM " + table + " WHERE expires > ?")
	q.clear = "DELETE FROM " + table
	q.expired = q.bind("SELECT id FROM " + table + " WHERE expires <= ? ORDER BY expires LIMIT ?")
	return q.withCreate()
}

// withCreate adds the statements that create a record if there is none or only
// an expired one. MySQL cannot do that in one statement: under
// clientFoundRows, the row count of INSERT ... ON DUPLICATE KEY UPDATE does
// not reveal whether a row existed. So the store tries an INSERT first, then
// an UPDATE of an expired row. INSERT IGNORE is no alternative, because it
// turns errors into warnings and truncates data.
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

// sweep returns a statement that deletes n records by id if they are still
// expired.
func (q queries) sweep(n int) string {
	return q.bind("DELETE FROM " + q.table + " WHERE expires <= ? AND id IN (?" + strings.Repeat(", ?", n-1) + ")")
}

// bind numbers the parameters if the dialect requires it. Every question mark
// in the statements is a parameter.
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
