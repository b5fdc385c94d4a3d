//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// leakOracle asks SQL, as the last thing that each transaction does, what the transaction
// means, who may see it, and who may no longer be connected. Nobody else writes. The tables
// as they were before are copies, kept by triggers; both have the LMS's own names, in the
// schemas now and was. It shares no code with the gateway.
type leakOracle struct {
	lms         leakSchool
	n           int    // transactions
	units       []unit // those that meant something
	revocations []revocation
}

const leakTables = `
CREATE SCHEMA was;
CREATE SCHEMA now;
CREATE SCHEMA oracle;
CREATE TABLE oracle.touched (place text NOT NULL, key bigint NOT NULL, PRIMARY KEY (place, key));
CREATE FUNCTION oracle.touch() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
	IF TG_OP <> 'INSERT' THEN
		INSERT INTO oracle.touched VALUES (TG_TABLE_NAME, (to_jsonb(OLD) ->> TG_ARGV[0])::bigint) ON CONFLICT DO NOTHING;
	END IF;
	IF TG_OP <> 'DELETE' THEN
		INSERT INTO oracle.touched VALUES (TG_TABLE_NAME, (to_jsonb(NEW) ->> TG_ARGV[0])::bigint) ON CONFLICT DO NOTHING;
	END IF;
	RETURN NULL;
END $f$;
`

// leakTable has the copy of one table, and the view of it as it is.
const leakTable = `
CREATE TABLE was.%[1]s AS SELECT * FROM public.%[1]s;
ALTER TABLE was.%[1]s ADD PRIMARY KEY (%[2]s);
CREATE VIEW now.%[1]s AS SELECT * FROM public.%[1]s;
CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON public.%[1]s FOR EACH ROW EXECUTE FUNCTION oracle.touch('%[2]s');
`

// leakAdvance makes the copy of one table current.
const leakAdvance = `
DELETE FROM was.%[1]s WHERE %[2]s IN (SELECT key FROM oracle.touched WHERE place = '%[1]s');
INSERT INTO was.%[1]s SELECT * FROM public.%[1]s WHERE %[2]s IN (SELECT key FROM oracle.touched WHERE place = '%[1]s');
`

func (o *leakOracle) begin(t *testing.T, conn *pgx.Conn, lms leakSchool) {
	t.Helper()
	o.lms = lms
	sql, advance := leakTables, ""
	for _, table := range slices.Sorted(maps.Keys(lms.watched)) {
		sql += fmt.Sprintf(leakTable, table, lms.watched[table])
		advance += fmt.Sprintf(leakAdvance, table, lms.watched[table])
	}
	sql += `CREATE FUNCTION oracle.advance() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN ` + advance + ` DELETE FROM oracle.touched; END $f$;` + lms.views
	for _, text := range []string{sql, `VACUUM ANALYZE`} {
		_, err := conn.Exec(t.Context(), text)
		require.NoError(t, err)
	}
}

// commit runs one transaction, and notes what SQL says of it before its COMMIT.
func (o *leakOracle) commit(t *testing.T, conn *pgx.Conn, op operation) {
	t.Helper()
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, op(ctx, tx))
	var xid, before string
	var events []expected
	var lost []revocation
	var b pgx.Batch
	if o.lms.before != "" {
		b.Queue(o.lms.before)
	}
	b.Queue(o.lms.events).Query(func(rows pgx.Rows) (err error) {
		events, err = pgx.CollectRows(rows, scanExpected)
		return err
	})
	b.Queue(`SELECT w.person, coalesce(n.code, '') FROM (` + in("was", o.lms.rights) + `) w LEFT JOIN (` + in("now", o.lms.rights) + `) n USING (person)
		WHERE w.code = '' AND n.code IS DISTINCT FROM ''`).Query(func(rows pgx.Rows) (err error) {
		lost, err = pgx.CollectRows(rows, scanRevocation)
		return err
	})
	if o.lms.after != "" {
		b.Queue(o.lms.after)
	}
	b.Queue(`SELECT oracle.advance()`)
	b.Queue(`SELECT pg_current_xact_id()::xid::text, pg_current_wal_insert_lsn()::text`).QueryRow(func(row pgx.Row) error { return row.Scan(&xid, &before) })
	require.NoError(t, tx.SendBatch(ctx, &b).Close())
	require.NoError(t, tx.Commit(ctx))

	o.n++
	tn := transaction{n: int64(o.n), after: lsnOf(t, conn)}
	tn.before, err = cdc.ParseLSN(before)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(ctx, `SELECT pg_xact_commit_timestamp($1::text::xid)`, xid).Scan(&tn.at))
	if len(events) > 0 {
		o.units = append(o.units, unit{transactions: []transaction{tn}, events: events})
	}
	for _, r := range lost {
		r.before, r.after = tn.before, tn.after
		o.revocations = append(o.revocations, r)
	}
}

func scanRevocation(row pgx.CollectableRow) (r revocation, err error) {
	var refusal string
	err = row.Scan(&r.person, &refusal)
	if r.code = 4401; refusal == "role_not_allowed" {
		r.code = 4403
	}
	return r, err
}

// revoked finds the first right that somebody lost on a socket that began at a position.
// Where the position is inside of what is known of the commit, how it ended decides.
func (o *leakOracle) revoked(person int64, c stay) (r revocation, found bool) {
	for _, r := range o.revocations {
		if r.person == person && (r.before >= c.began.LSN || r.after > c.began.LSN && c.ended == r.code) {
			return r, true
		}
	}
	return r, false
}

// counts are the four counts by definition, of everybody who is told them.
func (o *leakOracle) counts(t *testing.T, conn *pgx.Conn) map[int64]counts {
	t.Helper()
	rows, err := conn.Query(t.Context(), o.lms.counts)
	require.NoError(t, err)
	return countsOf(t, rows)
}

// rights is why each person may not connect.
func (o *leakOracle) rights(t *testing.T, conn *pgx.Conn) map[int64]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), in("now", o.lms.rights))
	require.NoError(t, err)
	all := map[int64]string{}
	var id int64
	var code string
	_, err = pgx.ForEachRow(rows, []any{&id, &code}, func() error {
		all[id] = code
		return nil
	})
	require.NoError(t, err)
	return all
}

// in is a query over the tables of one of the two schemas; it calls them @.TABLE.
func in(schema, query string) string { return strings.ReplaceAll(query, "@.", schema+".") }

// lsnOf is a position behind everything that is committed.
func lsnOf(t *testing.T, conn *pgx.Conn) cdc.LSN {
	t.Helper()
	var text string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT pg_current_wal_insert_lsn()::text`).Scan(&text))
	at, err := cdc.ParseLSN(text)
	require.NoError(t, err)
	return at
}
