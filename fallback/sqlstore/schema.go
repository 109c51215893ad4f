package sqlstore

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Dialect selects the SQL of an engine.
type Dialect string

// The supported dialects.
const (
	Postgres Dialect = "postgres" // PostgreSQL 9.5 and later, CockroachDB untested
	MySQL    Dialect = "mysql"    // MySQL 5.7 and later, MariaDB 10.3 and later
	SQLite   Dialect = "sqlite"   // SQLite 3.24 and later
)

// DefaultTable is used if Options.Table is empty.
const DefaultTable = "carryon_records"

// tableName matches a name with an optional schema. PostgreSQL truncates names
// at 63 bytes, and the name of the index is 8 bytes longer than that of the
// table.
var tableName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,54}\.)?[A-Za-z_][A-Za-z0-9_]{0,54}$`)

// Schema returns the statements that create the table, for programs that
// create tables by hand or with a migration tool. Each statement ends with a
// semicolon and can be repeated. An empty table means [DefaultTable]. The
// table may include a schema: "app.sessions".
func Schema(d Dialect, table string) (string, error) {
	n, err := parseName(d, table)
	if err != nil {
		return "", err
	}
	return strings.Join(statements(d, n), ";\n") + ";\n", nil
}

// name holds the quoted names of a table and its index, and the unquoted
// parts.
type name struct{ table, index, schema, short string }

func parseName(d Dialect, table string) (name, error) {
	quote := `"`
	switch d {
	case MySQL:
		quote = "`"
	case Postgres, SQLite:
	default:
		return name{}, errors.New("sqlstore: no such dialect; use Postgres, MySQL or SQLite")
	}
	if table == "" {
		table = DefaultTable
	}
	if !tableName.MatchString(table) {
		return name{}, fmt.Errorf("sqlstore: invalid table name %q: use at most 55 letters, digits and _, "+
			"optionally after a schema and a dot", table)
	}
	schema, short, qualified := strings.Cut(table, ".")
	if !qualified {
		return name{table: quote + table + quote, index: quote + table + "_expires" + quote, short: table}, nil
	}
	if d == SQLite { // SQLite's schemas are attached databases
		return name{}, errors.New("sqlstore: SQLite has no schemas; use the table's name alone")
	}
	return name{table: quote + schema + quote + "." + quote + short + quote, index: quote + short + "_expires" + quote,
		schema: schema, short: short}, nil
}

func statements(d Dialect, n name) []string {
	switch d {
	case MySQL:
		return []string{"CREATE TABLE IF NOT EXISTS " + n.table + ` (
  id VARBINARY(64) NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL,
  tag BINARY(16) NOT NULL,
  data MEDIUMBLOB NOT NULL,
  expires BIGINT NOT NULL,
  KEY ` + n.index + ` (expires)
) ENGINE=InnoDB`}
	case Postgres:
		return twoStatements(n, "BYTEA", "BIGINT")
	}
	return twoStatements(n, "BLOB", "INTEGER")
}

func twoStatements(n name, bytes, integer string) []string {
	return []string{"CREATE TABLE IF NOT EXISTS " + n.table + ` (
  id ` + bytes + ` NOT NULL PRIMARY KEY,
  number ` + integer + ` NOT NULL,
  tag ` + bytes + ` NOT NULL,
  data ` + bytes + ` NOT NULL,
  expires ` + integer + ` NOT NULL
)`, "CREATE INDEX IF NOT EXISTS " + n.index + " ON " + n.table + " (expires)"}
}
