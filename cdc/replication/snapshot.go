package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// snapshot gives the sink the tables as the exported snapshot shows them. It completes
// snap: the lineage, too, is that of the snapshot.
func (r *Reader) snapshot(ctx context.Context, name string, snap *cdc.Snapshot, sink Sink) error {
	c, err := connect(ctx, r.cfg, forSQL)
	if err != nil {
		return err
	}
	defer c.close(ctx)
	if err := openSnapshot(ctx, c, r.cfg, "SET TRANSACTION SNAPSHOT "+literal(name)); err != nil {
		return err
	}
	s := &snapshotReader{conn: c, board: r.board}
	if s.tables, err = readTables(ctx, c, r.cfg.Tables, ""); err != nil {
		return err
	}
	lineage, err := readLineage(ctx, c, r.cfg)
	if err != nil {
		return err
	}
	if err := s.expect(ctx); err != nil {
		return err
	}
	r.log.Info("reading the tables", "tables", len(s.tables), "expected", r.board.expected.Load())
	if snap.Time, err = readClock(ctx, c); err != nil {
		return err
	}
	if was, known := parseLineage(r.source.Lineage, r.cfg.Tables); known && r.stale == nil {
		snap.Altered = lineage.altered(was)
	}
	snap.Source.Lineage = lineage.String()
	snap.Rows = func(yield func(cdc.Row, error) bool) { s.yield(ctx, yield) }
	return r.give(ctx, s, snap, sink)
}

// openSnapshot begins the transaction in which the tables are read; more belongs to its
// beginning.
func openSnapshot(ctx context.Context, c *conn, cfg Config, more ...string) error {
	begin := []string{
		"SET lock_timeout = " + millis(cfg.LockTimeout),
		"SET row_security = off", // rather an error than rows left out
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	}
	for _, sql := range append(begin, more...) {
		if _, err := c.query(ctx, sql); err != nil {
			return fmt.Errorf("open the snapshot: %w", err)
		}
	}
	return nil
}

// readClock is what the server's clock shows.
func readClock(ctx context.Context, c *conn) (time.Time, error) {
	now, err := c.value(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the server for the time: %w", err)
	}
	return time.UnixMicro(row{[]byte(now)}.int(0)).UTC(), nil
}

// give lets the sink take the snapshot.
func (r *Reader) give(ctx context.Context, s *snapshotReader, snap *cdc.Snapshot, sink Sink) error {
	began := time.Now()
	err := sink.Reset(ctx, snap)
	r.board.reading("")
	switch {
	case s.failed != nil:
		return s.failed
	case err != nil:
		return &sinkError{fmt.Errorf("take the snapshot: %w", err)}
	case !s.done:
		return &sinkError{errors.New("the sink did not read all rows of the snapshot; this is a mistake in schoolbell: please report it")}
	}
	r.log.Info("took the snapshot", "pos", snap.At, "rows", r.board.rows.Load(), "took", time.Since(began))
	return nil
}

// snapshotReader reads the tables, one after the other, once.
type snapshotReader struct {
	conn   *conn
	board  *board
	tables []*table
	begun  bool
	done   bool
	failed error
}

// expect finds out how many rows there will be. The planner's estimate costs nothing;
// a table that nobody has analyzed has none, and is small or new.
func (s *snapshotReader) expect(ctx context.Context) error {
	var all int64
	for _, t := range s.tables {
		if t.oid == 0 {
			return fmt.Errorf("read the snapshot: table %v was dropped meanwhile", t)
		}
		n := t.estimate
		if n <= 0 {
			err := s.locking(ctx, func() error {
				counted, err := s.conn.value(ctx, "SELECT count(*) FROM ONLY "+qualified(t.spec.Schema, t.spec.Name)+t.where())
				n = row{[]byte(counted)}.int(0)
				return err
			})
			if err != nil {
				return fmt.Errorf("count the rows of %v: %w", t, err)
			}
		}
		all += n
	}
	s.board.rows.Store(0)
	s.board.expected.Store(all)
	s.board.snapshotBegan.Store(time.Now().UnixNano())
	return nil
}

func (s *snapshotReader) yield(ctx context.Context, yield func(cdc.Row, error) bool) {
	if s.begun {
		return
	}
	s.begun = true
	for _, t := range s.tables {
		s.board.reading(t.String())
		more := false
		err := s.locking(ctx, func() (err error) {
			if more, err = s.read(ctx, t, yield); more && err == nil {
				err = s.unchanged(ctx, t)
			}
			return err
		})
		if err != nil {
			s.failed = fmt.Errorf("read table %v in the snapshot: %w", t, err)
			yield(cdc.Row{}, s.failed)
			return
		}
		if !more {
			return // the sink gives up
		}
	}
	// The server need not keep old rows for us while the sink finishes.
	if _, err := s.conn.query(ctx, "COMMIT"); err != nil {
		s.failed = fmt.Errorf("close the snapshot: %w", err)
		yield(cdc.Row{}, s.failed)
		return
	}
	s.done = true
}

// locking gives back the locks that reading took: an upgrade of the LMS that alters
// a table waits for us no longer than that table is being read.
func (s *snapshotReader) locking(ctx context.Context, read func() error) error {
	if _, err := s.conn.query(ctx, "SAVEPOINT unlocked"); err != nil {
		return err
	}
	if err := read(); err != nil || s.conn.IsBusy() {
		return err // or the sink wants no more: the connection closes
	}
	_, err := s.conn.query(ctx, "ROLLBACK TO unlocked; RELEASE unlocked")
	return err
}

// read yields the rows of one table; false: the sink wants no more.
func (s *snapshotReader) read(ctx context.Context, t *table, yield func(cdc.Row, error) bool) (bool, error) {
	word := t.word()
	names := make([]string, len(word.Columns))
	for i, c := range word.Columns {
		names[i] = c.Name
	}
	if len(names) == 0 {
		return false, errors.New("none of its columns is left")
	}
	rows := s.conn.ExecParams(ctx, "SELECT "+idents(names)+" FROM ONLY "+qualified(t.spec.Schema, t.spec.Name)+t.where(), nil, nil, nil, nil)
	// Optional columns that are missing are NULL.
	var lacking []string
	for _, name := range t.spec.Optional {
		if t.find(name) == nil {
			lacking = append(lacking, name)
		}
	}
	word = stretched(word, lacking)
	values := pad(make([]cdc.Value, len(names)), len(lacking), cdc.Null)
	for rows.NextRow() {
		for i, v := range rows.Values() {
			values[i] = cdc.Value{Kind: cdc.Text, Data: v}
			if v == nil {
				values[i].Kind = cdc.Null
			}
		}
		s.board.rows.Add(1)
		if !yield(cdc.Row{Table: word, Values: values}, nil) {
			return false, nil // the rest is not worth reading: the connection closes
		}
	}
	_, err := rows.Close()
	if server, ok := errors.AsType[*pgconn.PgError](err); ok && server.Code == "42501" {
		return false, explainSQL(err, "read the table", "schoolbell init")
	}
	return true, err
}

// where is the clause that leaves out rows nobody wants; "": there are none such.
func (t *table) where() string {
	if t.spec.Where == nil {
		return ""
	}
	sql := t.spec.Where(func(name string) (uint32, bool) {
		if c := t.find(name); c != nil {
			return c.Type, true
		}
		return 0, false
	})
	if sql == "" {
		return ""
	}
	return " WHERE " + sql
}

// unchanged sees that the table was not rewritten between the snapshot and our reading
// of it: it would have looked empty. From the reading on our lock keeps it as it is.
func (s *snapshotReader) unchanged(ctx context.Context, t *table) error {
	filenode, err := s.conn.value(ctx, fmt.Sprintf("SELECT pg_catalog.pg_relation_filenode(%d)", t.oid))
	if err != nil {
		return err
	}
	if filenode != t.filenode {
		return errors.New("it was rewritten or truncated meanwhile: the snapshot has to be taken again")
	}
	return nil
}
