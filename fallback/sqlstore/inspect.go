package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/carryon-go/carryon/fallback"
)

// table describes the table, as read from the engine's catalogue.
type table struct {
	exists  bool
	columns map[string]string // name to type, in lower case
	keyed   bool              // id alone is unique
	swept   bool              // an index begins with expires
	invalid bool              // such an index exists but is invalid
}

// inspect reads the catalogue. It does not wait for locks that writers, vacuum
// or DDL hold on the table, except briefly on MySQL.
func (s *Store) inspect(ctx context.Context) (table, error) {
	switch s.opt.Dialect {
	case Postgres:
		return s.inspectPostgres(ctx)
	case MySQL:
		return s.inspectMySQL(ctx)
	}
	return s.inspectSQLite(ctx)
}

func (s *Store) inspectPostgres(ctx context.Context) (t table, err error) {
	t.columns, err = s.readColumns(ctx, "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute"+
		" WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped", s.name.table)
	if t.exists = len(t.columns) > 0; err != nil || !t.exists {
		return t, err
	}
	err = s.readRows(ctx, func(r *sql.Rows) error {
		var first string
		var valid, unique bool
		if err := r.Scan(&first, &valid, &unique); err != nil {
			return err
		}
		t.keyed = t.keyed || first == "id" && valid && unique
		t.swept = t.swept || first == "expires" && valid
		t.invalid = t.invalid || first == "expires" && !valid
		return nil
	}, "SELECT a.attname::text, i.indisvalid AND i.indpred IS NULL, i.indisunique AND i.indimmediate AND i.indnatts = 1"+
		" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"+
		" WHERE i.indrelid = to_regclass($1)", s.name.table)
	t.invalid = t.invalid && !t.swept
	return t, err
}

func (s *Store) inspectSQLite(ctx context.Context) (t table, err error) {
	t.columns, err = s.readColumns(ctx, "SELECT lower(name), type FROM pragma_table_info(?)", s.name.short)
	if t.exists = len(t.columns) > 0; err != nil || !t.exists {
		return t, err
	}
	err = s.readRows(ctx, func(r *sql.Rows) error {
		var first string
		var unique, columns int
		if err := r.Scan(&first, &unique, &columns); err != nil {
			return err
		}
		t.keyed = t.keyed || first == "id" && unique == 1 && columns == 1
		t.swept = t.swept || first == "expires"
		return nil
	}, `SELECT lower(i.name), l."unique" AND NOT l.partial, (SELECT COUNT(*) FROM pragma_index_info(l.name))`+
		` FROM pragma_index_list(?) l JOIN pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name IS NOT NULL`, s.name.short)
	return t, err
}

// inspectMySQL uses SHOW, because SHOW resolves the table's name like the
// statements do, independently of lower_case_table_names, and needs rights on
// the table only.
func (s *Store) inspectMySQL(ctx context.Context) (t table, err error) {
	t.columns = map[string]string{}
	err = s.readMaps(ctx, func(r map[string]string) {
		t.columns[strings.ToLower(r["field"])] = strings.ToLower(r["type"])
	}, "SHOW COLUMNS FROM "+s.name.table)
	if isMySQL(err, myNoTable) {
		return table{}, nil
	}
	if t.exists = len(t.columns) > 0; err != nil || !t.exists {
		return t, err
	}
	type index struct {
		columns       int
		first         string
		unique, whole bool
	}
	indexes := map[string]*index{}
	err = s.readMaps(ctx, func(r map[string]string) {
		i := indexes[r["key_name"]]
		if i == nil {
			i = &index{unique: r["non_unique"] == "0"}
			indexes[r["key_name"]] = i
		}
		i.columns++
		if r["seq_in_index"] == "1" {
			i.first, i.whole = strings.ToLower(r["column_name"]), r["sub_part"] == ""
		}
	}, "SHOW INDEX FROM "+s.name.table)
	for _, i := range indexes {
		t.keyed = t.keyed || i.first == "id" && i.unique && i.whole && i.columns == 1
		t.swept = t.swept || i.first == "expires"
	}
	return t, err
}

func (s *Store) readColumns(ctx context.Context, query, name string) (map[string]string, error) {
	all := map[string]string{}
	err := s.readRows(ctx, func(r *sql.Rows) error {
		var name, kind string
		err := r.Scan(&name, &kind)
		all[name] = strings.ToLower(kind)
		return err
	}, query, name)
	return all, err
}

func (s *Store) readRows(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readMaps reads rows whose columns differ between versions of the engine.
func (s *Store) readMaps(ctx context.Context, each func(map[string]string), query string) error {
	return s.readRows(ctx, func(r *sql.Rows) error {
		names, err := r.Columns()
		if err != nil {
			return err
		}
		values, into, row := make([]sql.NullString, len(names)), make([]any, len(names)), map[string]string{}
		for i := range values {
			into[i] = &values[i]
		}
		if err := r.Scan(into...); err != nil {
			return err
		}
		for i, name := range names {
			row[strings.ToLower(name)] = values[i].String
		}
		each(row)
		return nil
	}, query)
}

// columnType is the required type of a column.
type columnType struct {
	column, is string
	fits       func(kind string) bool
}

func columnTypes(d Dialect) []columnType {
	exactly := func(want string) func(string) bool { return func(kind string) bool { return kind == want } }
	bigint := func(kind string) bool { return strings.HasPrefix(kind, "bigint") }
	switch d {
	case Postgres:
		return []columnType{{"id", "bytea", exactly("bytea")}, {"number", "bigint", bigint}, {"tag", "bytea", exactly("bytea")},
			{"data", "bytea", exactly("bytea")}, {"expires", "bigint", bigint}}
	case MySQL:
		return []columnType{{"id", "varbinary(64)", bytesOf("varbinary", fallback.MaxID)}, {"number", "bigint", bigint},
			{"tag", "binary(16)", func(kind string) bool { return kind == "binary(16)" || bytesOf("varbinary", 16)(kind) }},
			{"data", "mediumblob", func(kind string) bool { return kind == "mediumblob" || kind == "longblob" }},
			{"expires", "bigint", bigint}}
	}
	// SQLite stores any value, but compares a number with a text as text.
	number := func(kind string) bool { return strings.Contains(kind, "int") }
	bytes := func(kind string) bool { return !number(kind) }
	return []columnType{{"id", "blob", bytes}, {"number", "integer", number}, {"tag", "blob", bytes}, {"data", "blob", bytes},
		{"expires", "integer", number}}
}

var sized = regexp.MustCompile(`^([a-z]+)\(([0-9]+)\)$`)

// bytesOf returns a test for a MySQL type that holds at least the given number
// of bytes.
func bytesOf(want string, least int) func(string) bool {
	return func(kind string) bool {
		m := sized.FindStringSubmatch(kind)
		if m == nil || m[1] != want {
			return false
		}
		n, err := strconv.Atoi(m[2])
		return err == nil && n >= least
	}
}

// findings returns the problems of the table.
func (t table) findings(s *Store) (all []fallback.Finding) {
	name := s.name.table
	if !t.exists {
		return []fallback.Finding{{Setting: name, Value: "missing", Effect: "nothing can be stored",
			Fix: "call Store.Migrate, or run the statements of Schema"}}
	}
	for _, n := range columnTypes(s.opt.Dialect) {
		kind, found := t.columns[n.column]
		switch {
		case !found:
			all = append(all, fallback.Finding{Setting: "column " + n.column + " of " + name, Value: "missing",
				Effect: "nothing can be stored", Fix: "use another table, or run the statements of Schema"})
		case !n.fits(kind):
			all = append(all, fallback.Finding{Setting: "column " + n.column + " of " + name, Value: kind,
				Effect: "it does not hold every value that the store writes", Fix: "make it " + n.is})
		}
	}
	if !t.keyed {
		all = append(all, fallback.Finding{Setting: "primary key of " + name, Value: "not (id)",
			Effect: "two writers can create the same record", Fix: fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (id)", name)})
	}
	return all
}
