package sqlstore

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// The drivers' types are not ours to import. Those of PostgreSQL have a method
// for the code; MySQL's driver has the number in its text, and SQLite's too.

// sqlState returns PostgreSQL's code of an error, "" if it has none.
func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}

// isMySQL reports whether an error is one of MySQL's with one of these numbers.
func isMySQL(err error, numbers ...int) bool {
	if err == nil || sqlState(err) != "" {
		return false
	}
	_, rest, found := strings.Cut(err.Error(), "Error ")
	if !found {
		return false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(rest[:max(end, 0)])
	return err == nil && slices.Contains(numbers, n)
}

// MySQL's numbers.
const (
	myDuplicateEntry  = 1062 // a unique key has the value already
	myRecordChanged   = 1020 // MariaDB: since the transaction's snapshot
	myLockWait        = 1205 // lock wait timeout exceeded
	myDeadlock        = 1213
	myUnknownStmt     = 1243 // unknown prepared statement handler
	myNotPreparable   = 1295 // not supported in the prepared statement protocol
	myTooManyPrepared = 1461 // max_prepared_stmt_count
	myRePrepare       = 1615
	myDuplicateIndex  = 1061
	myTableExists     = 1050
	myNoTable         = 1146
	myDenied          = 1142
)

// givenUp reports whether the engine has undone a statement because of another
// one: a deadlock, or a serialization failure.
func givenUp(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01":
		return true
	}
	return isMySQL(err, myDeadlock, myRecordChanged, myLockWait)
}

// lostStatement reports whether the server does not know a statement that was
// prepared, as behind a pooler that has changed the connection.
func lostStatement(err error) bool { return isMySQL(err, myUnknownStmt, myRePrepare) }

// cannotPrepare reports whether the server prepares no statement, or no more.
func cannotPrepare(err error) bool { return isMySQL(err, myNotPreparable, myTooManyPrepared) }

// duplicate reports whether a record could not be inserted because one stands
// under its key.
func duplicate(err error) bool { return isMySQL(err, myDuplicateEntry) }

// passing reports whether DDL failed because of what others do at the moment:
// they hold a lock, or create the same.
func passing(err error) bool {
	switch sqlState(err) {
	case "55P03", // lock_not_available
		"23505", "42P07", "42710", "42P06": // another replica has created it
		return true
	}
	text := err.Error()
	return givenUp(err) || isMySQL(err, myDuplicateIndex, myTableExists) ||
		strings.Contains(text, "tuple concurrently updated") || // PostgreSQL, XX000
		strings.Contains(text, "SQLITE_BUSY") || strings.Contains(text, "already exists")
}
