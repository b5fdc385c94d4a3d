package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/schoolbell/schoolbell/cdc/profile/guess"
)

// What reading a catalogue may cost the database.
const (
	catalogueTimeout = "5s"    // for one statement
	catalogueLock    = "500ms" // for a lock that the LMS holds
	sampledRows      = 10_000  // looked at for the values of one column
	sampledValues    = 20      // a column with more is no state
	sampledColumns   = 200     // of a database with more, the rest is not looked at
	sampledFor       = 30 * time.Second
)

// readCatalogue reads what a schema says of itself, in one transaction that can write
// nothing. Of the rows it reads only the values of columns that are called like a state
// or a role, and only where the role may.
func readCatalogue(ctx context.Context, pool *pgxpool.Pool, schema string) (guess.Catalogue, error) {
	c := guess.Catalogue{Schema: schema}
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return c, fmt.Errorf("connect to the LMS's database: %w; schoolbell check says what has to be mended", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	r := catalogueReader{tx: tx, schema: schema, at: map[string]int{}}
	if err := r.begin(ctx); err != nil {
		return c, err
	}
	for _, step := range []func(context.Context) error{r.tables, r.columns, r.keys, r.foreign, r.checks, r.values} {
		if err := step(ctx); err != nil {
			return c, fmt.Errorf("read the catalogue: %w", err)
		}
	}
	c.Database, c.Tables = r.database, r.list
	return c, nil
}

type catalogueReader struct {
	tx       pgx.Tx
	schema   string
	database string
	list     []guess.Table
	at       map[string]int // a table's place in list
}

func (r *catalogueReader) begin(ctx context.Context) error {
	for _, sql := range []string{"SET LOCAL statement_timeout = '" + catalogueTimeout + "'", "SET LOCAL lock_timeout = '" + catalogueLock + "'"} {
		if _, err := r.tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("bound what reading the catalogue may take: %w", err)
		}
	}
	var there bool
	if err := r.tx.QueryRow(ctx, `SELECT current_database(), EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, r.schema).Scan(&r.database, &there); err != nil {
		return fmt.Errorf("look for the schema: %w", err)
	}
	if !there {
		return usageError{fmt.Errorf("database %q has no schema %q; name the LMS's with --schema, \\dn in psql lists them", r.database, r.schema)}
	}
	return nil
}

// table finds a table that was read; what belongs to another is not wanted.
func (r *catalogueReader) table(name string) *guess.Table {
	i, ok := r.at[name]
	if !ok {
		return nil
	}
	return &r.list[i]
}

func (r *catalogueReader) tables(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
		SELECT c.relname, CASE WHEN c.reltuples < 0 THEN -1 ELSE c.reltuples END::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		ORDER BY c.relname`, r.schema)
	if err != nil {
		return err
	}
	var t guess.Table
	_, err = pgx.ForEachRow(rows, []any{&t.Name, &t.Rows}, func() error {
		r.at[t.Name] = len(r.list)
		r.list = append(r.list, t)
		return nil
	})
	return err
}

func (r *catalogueReader) columns(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
		SELECT c.relname, a.attname, CASE WHEN b.typtype = 'e' THEN 'enum' ELSE format_type(b.oid, NULL) END, a.attnotnull,
			ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder)
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname, a.attnum`, r.schema)
	if err != nil {
		return err
	}
	var table string
	var c guess.Column
	_, err = pgx.ForEachRow(rows, []any{&table, &c.Name, &c.Type, &c.NotNull, &c.Values}, func() error {
		if t := r.table(table); t != nil {
			t.Columns = append(t.Columns, c)
		}
		c.Values = nil
		return nil
	})
	return err
}

// keys reads the primary keys, and the unique indexes that hold for all rows.
func (r *catalogueReader) keys(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
		SELECT c.relname, i.indisprimary, ARRAY(
			SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (num, pos) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num
			WHERE k.pos <= i.indnkeyatts ORDER BY k.pos)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
		ORDER BY c.relname, i.indexrelid`, r.schema)
	if err != nil {
		return err
	}
	var table string
	var primary bool
	var columns []string
	_, err = pgx.ForEachRow(rows, []any{&table, &primary, &columns}, func() error {
		switch t := r.table(table); {
		case t == nil:
		case primary:
			t.Key = columns
		default:
			t.Unique = append(t.Unique, columns)
		}
		columns = nil
		return nil
	})
	return err
}

func (r *catalogueReader) foreign(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
		SELECT c.relname, f.relname,
			ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, pos) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num ORDER BY u.pos),
			ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, pos) JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = u.num ORDER BY u.pos)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class f ON f.oid = k.confrelid
		WHERE n.nspname = $1 AND k.contype = 'f' AND f.relnamespace = c.relnamespace
		ORDER BY c.relname, k.oid`, r.schema)
	if err != nil {
		return err
	}
	var table string
	var f guess.Foreign
	_, err = pgx.ForEachRow(rows, []any{&table, &f.Table, &f.Columns, &f.To}, func() error {
		if t := r.table(table); t != nil {
			t.Foreign = append(t.Foreign, f)
		}
		f.Columns, f.To = nil, nil
		return nil
	})
	return err
}

// aWord is a text in a CHECK, as PostgreSQL prints it.
var aWord = regexp.MustCompile(`'((?:[^']|'')*)'::`)

// checks reads the values that a CHECK of one column lists.
func (r *catalogueReader) checks(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
		SELECT c.relname, a.attname, pg_get_constraintdef(k.oid)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
		WHERE n.nspname = $1 AND k.contype = 'c' AND cardinality(k.conkey) = 1
		ORDER BY c.relname, k.oid`, r.schema)
	if err != nil {
		return err
	}
	var table, column, text string
	_, err = pgx.ForEachRow(rows, []any{&table, &column, &text}, func() error {
		c := r.column(table, column)
		if c == nil || len(c.Values) > 0 || !guess.WantsValues(*r.table(table), *c) {
			return nil
		}
		for _, match := range aWord.FindAllStringSubmatch(text, -1) {
			c.Values = append(c.Values, match[1])
		}
		return nil
	})
	return err
}

func (r *catalogueReader) column(table, column string) *guess.Column {
	t := r.table(table)
	if t == nil {
		return nil
	}
	for i := range t.Columns {
		if t.Columns[i].Name == column {
			return &t.Columns[i]
		}
	}
	return nil
}

// values looks at what stands in the columns whose values matter and are not known by
// their types: at the first rows only, and for a bounded time. A column that cannot be
// read, or not in time, stays unknown.
func (r *catalogueReader) values(ctx context.Context) error {
	began, seen := time.Now(), 0
	for i := range r.list {
		t := &r.list[i]
		for j := range t.Columns {
			c := &t.Columns[j]
			if len(c.Values) > 0 || !guess.WantsValues(*t, *c) {
				continue
			}
			if seen++; seen > sampledColumns || time.Since(began) > sampledFor {
				return nil
			}
			values, err := r.sample(ctx, t.Name, c.Name)
			if err != nil {
				return err
			}
			c.Values = values
		}
	}
	return nil
}

// sample takes the values from the statistics, or from the rows where there are none.
func (r *catalogueReader) sample(ctx context.Context, table, column string) (values []string, err error) {
	var may bool
	name := pgx.Identifier{r.schema, table}.Sanitize()
	if err := r.tx.QueryRow(ctx, `SELECT has_column_privilege($1::regclass, $2, 'SELECT')`, name, column).Scan(&may); err != nil || !may {
		return nil, err
	}
	err = r.tx.QueryRow(ctx, `SELECT coalesce((SELECT most_common_vals::text::text[] FROM pg_stats
		WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND n_distinct BETWEEN 1 AND $4
			AND cardinality(most_common_vals) >= n_distinct), '{}')`, r.schema, table, column, sampledValues).Scan(&values)
	if err != nil || len(values) > 0 {
		return values, err
	}
	inner, err := r.tx.Begin(ctx) // a savepoint: a timeout ends this question only
	if err != nil {
		return nil, err
	}
	col := pgx.Identifier{column}.Sanitize()
	rows, err := inner.Query(ctx, fmt.Sprintf(`SELECT v::text FROM (SELECT DISTINCT v FROM (SELECT %s AS v FROM ONLY %s LIMIT %d) s WHERE v IS NOT NULL LIMIT %d) d ORDER BY 1`,
		col, name, sampledRows, sampledValues+1))
	if err == nil {
		values, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, inner.Rollback(ctx)
	}
	if len(values) > sampledValues {
		values = nil
	}
	return values, inner.Commit(ctx)
}
