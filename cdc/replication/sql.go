package replication

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// row is one row of an answer, as text.
type row [][]byte

func (r row) null(i int) bool   { return r[i] == nil }
func (r row) text(i int) string { return string(r[i]) }
func (r row) bool(i int) bool   { return string(r[i]) == "t" }

// int is a number in column i; 0 for NULL.
func (r row) int(i int) int64 {
	n, _ := strconv.ParseInt(string(r[i]), 10, 64)
	return n
}

// lsn is a log position in column i; 0 for NULL.
func (r row) lsn(i int) serverLSN {
	at, _ := cdc.ParseLSN(string(r[i]))
	return serverLSN(at)
}

// numbers are those in column i, however they are separated.
func (r row) numbers(i int) []int {
	var all []int
	for _, f := range strings.FieldsFunc(string(r[i]), func(c rune) bool { return c < '0' || c > '9' }) {
		n, _ := strconv.Atoi(f)
		all = append(all, n)
	}
	return all
}

// query answers the rows of one statement.
func (c *conn) query(ctx context.Context, sql string) ([]row, error) {
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, nil
	}
	rows := make([]row, len(results[0].Rows))
	for i, r := range results[0].Rows {
		rows[i] = r
	}
	return rows, nil
}

// value answers a statement's only value.
func (c *conn) value(ctx context.Context, sql string) (string, error) {
	rows, err := c.query(ctx, sql)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("the server answered %d rows to %q, want one", len(rows), sql)
	}
	return rows[0].text(0), nil
}

// ident writes a name for SQL.
func ident(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// literal writes a text for SQL; the connection has standard_conforming_strings on.
func literal(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// qualified is a table's name for SQL.
func qualified(schema, name string) string { return ident(schema) + "." + ident(name) }
