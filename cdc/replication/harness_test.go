package replication_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fast is how often a reader of the tests looks at the server.
const fast = 20 * time.Millisecond

const schema = `
	CREATE TABLE people (
		junk int, id bigint PRIMARY KEY, email text, password text,
		at timestamptz, span interval, number float8, raw bytea
	);
	ALTER TABLE people DROP COLUMN junk;
	CREATE TABLE work (note text, assignment int, student int, mark text, PRIMARY KEY (student, assignment));
	CREATE TABLE elsewhere (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, filler text);`

var (
	people = cdc.TableSpec{Schema: "public", Name: "people", Columns: []string{"raw", "email", "at", "span", "number"}}
	work   = cdc.TableSpec{Schema: "public", Name: "work", Columns: []string{"mark"}, Aside: true}
)

// school is a database with the tables above and a publication of them.
type school struct {
	*pgx.Conn
	cfg replication.Config
}

func newSchool(t *testing.T) *school {
	t.Helper()
	s := bareSchool(t, pgtest.Database(t))
	require.NoError(t, replication.Init(t.Context(), s.cfg))
	return s
}

// bareSchool has no publication yet.
func bareSchool(t *testing.T, url string) *school {
	t.Helper()
	s := &school{Conn: open(t, url), cfg: replication.Config{
		URL: url, Slot: strings.Map(slotRune, t.Name()), Publication: "schoolbell", Tables: []cdc.TableSpec{people, work},
		RetryAtMost: 500 * time.Millisecond, LockTimeout: 20 * time.Second,
	}}
	s.cfg.Slot = s.cfg.Slot[:min(len(s.cfg.Slot), 63)]
	s.exec(t, schema)
	return s
}

// slotRune makes a slot name of a test's name: slots are the server's, not the database's.
func slotRune(c rune) rune {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '_'
}

func open(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (s *school) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := s.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// dropSlot waits until the server has noticed that its last reader is gone.
func (s *school) dropSlot(t *testing.T) {
	t.Helper()
	until(t, "a slot that nobody reads", func() bool {
		return !ask[bool](t, s.Conn, "SELECT active FROM pg_replication_slots WHERE slot_name = $1", s.cfg.Slot)
	})
	s.exec(t, "SELECT pg_drop_replication_slot($1)", s.cfg.Slot)
}

func ask[T any](t *testing.T, c *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, c.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

// held is how much log the server keeps for the slot.
func (s *school) held(t *testing.T) int64 {
	t.Helper()
	return ask[int64](t, s.Conn, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
		FROM pg_replication_slots WHERE slot_name = $1`, s.cfg.Slot)
}

// rows is a table as the database has it, in the sink's words.
func (s *school) rows(t *testing.T, spec cdc.TableSpec, columns string) map[string]string {
	t.Helper()
	for _, set := range []string{"timezone = 'UTC'", "datestyle = ISO", "intervalstyle = postgres", "bytea_output = hex"} {
		s.exec(t, "SET "+set)
	}
	key := "id::text"
	if spec.Name == work.Name {
		key = "assignment::text || '/' || student::text"
	}
	rows, err := s.Query(t.Context(), fmt.Sprintf("SELECT %s, concat_ws('|', %s) FROM %s", key, columns, spec.Name))
	require.NoError(t, err)
	all := map[string]string{}
	for rows.Next() {
		var k, v string
		require.NoError(t, rows.Scan(&k, &v))
		all[k] = v
	}
	require.NoError(t, rows.Err())
	return all
}

const (
	peopleColumns = "id, email, at, span, number, raw"
	workColumns   = "assignment, student, mark"
)

// sink keeps what it is given in memory. A Sync that is not remembered (durable) is
// lost when the test "crashes" it.
type sink struct {
	mu       sync.Mutex // guards what follows
	tables   map[string]map[string]string
	words    map[string]*cdc.Table
	ends     []cdc.LSN
	commits  []cdc.LSN
	changes  []string
	messages []string
	left     int // messages
	echoes   []string
	doubled  []string // keys inserted twice
	source   cdc.Source
	at       cdc.LSN
	last     cdc.Mark
	reasons  []string // of the snapshots
	altered  bool     // the last of them was of altered columns
	resets   int
	syncs    int
	advances int

	// Called without mu; nil: nothing.
	onReset   func(context.Context) error
	onApply   func(*cdc.Tx) error
	onChange  func(*cdc.Change)
	onAdvance func(clock time.Time) (wake time.Time)
	onSync    func()
	forget    bool    // changes are not kept
	dead      bool    // Sync fails: the machine is about to stop
	answers   cdc.LSN // of Sync, whatever is durable: the process is about to be killed; 0: the truth

	saved struct { // what a crash leaves
		tables map[string]map[string]string
		from   cdc.Checkpoint
	}
}

func newSink() *sink {
	return &sink{tables: map[string]map[string]string{}, words: map[string]*cdc.Table{}}
}

// describe leaves out what nobody asked for: before column lists that is sent, too.
func describe(t *cdc.Table, values []cdc.Value) (key, text string) {
	var keys, all []string
	for i, v := range values {
		if isUnasked(t.Columns[i].Name) {
			continue
		}
		s := string(v.Data)
		if identifies(t, t.Columns[i]) {
			keys = append(keys, s)
		}
		if v.Kind != cdc.Null {
			all = append(all, s)
		}
	}
	return strings.Join(keys, "/"), strings.Join(all, "|")
}

// identifies is true of a column of the key, also while the whole row is the identity:
// the log calls every column a part of it then.
func identifies(t *cdc.Table, c cdc.Column) bool {
	return c.Key && (t.Identity != cdc.IdentityFull || slices.Contains([]string{"id", "assignment", "student"}, c.Name))
}

func isUnasked(column string) bool {
	return column == "password" || column == "note" || column == "extra"
}

func (s *sink) Reset(ctx context.Context, snap *cdc.Snapshot) error {
	tables, words := map[string]map[string]string{}, map[string]*cdc.Table{}
	for row, err := range snap.Rows {
		if err != nil {
			return err
		}
		if tables[row.Table.Name] == nil {
			tables[row.Table.Name] = map[string]string{}
		}
		words[row.Table.Name] = row.Table
		key, text := describe(row.Table, row.Values)
		tables[row.Table.Name][key] = text
	}
	if s.onReset != nil {
		if err := s.onReset(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if snap.At <= s.at {
		return fmt.Errorf("the snapshot is at %v, and %v was there already", snap.At, s.at)
	}
	s.tables, s.words, s.source, s.at, s.last = tables, words, snap.Source, snap.At, cdc.Mark{}
	s.resets++
	s.reasons, s.altered = append(s.reasons, snap.Reason), snap.Altered
	s.save()
	return nil
}

// save needs mu.
func (s *sink) save() {
	s.saved.from = cdc.Checkpoint{Source: s.source, Applied: s.at, Last: s.last}
	s.saved.tables = map[string]map[string]string{}
	for name, rows := range s.tables {
		s.saved.tables[name] = maps.Clone(rows)
	}
}

// crash is the sink after a crash of its machine, and where it begins again.
func (s *sink) crash() (*sink, cdc.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again := newSink()
	again.tables, again.at, again.last, again.source = s.saved.tables, s.saved.from.Applied, s.saved.from.Last, s.saved.from.Source
	again.save()
	return again, again.saved.from
}

func (s *sink) Apply(ctx context.Context, tx *cdc.Tx) error {
	if s.onApply != nil {
		if err := s.onApply(tx); err != nil {
			return err
		}
	}
	type edit struct{ table, key, text string }
	var edits []edit
	some := false
	for c, err := range tx.Changes {
		if err != nil {
			return err
		}
		some = true
		if s.onChange != nil {
			s.onChange(c)
		}
		if s.forget {
			continue
		}
		var old, key, text string
		if c.Old != nil {
			old, _ = describe(c.Table, c.Old)
			edits = append(edits, edit{c.Table.Name, old, ""})
		}
		if c.New != nil {
			key, text = describe(c.Table, c.New)
			edits = append(edits, edit{c.Table.Name, key, text})
		}
		if c.Op == cdc.Truncate {
			edits = append(edits, edit{c.Table.Name, "", ""})
		}
		s.note(c, key, old)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range edits {
		if s.tables[e.table] == nil {
			s.tables[e.table] = map[string]string{}
		}
		switch {
		case e.key == "":
			clear(s.tables[e.table])
		case e.text == "":
			delete(s.tables[e.table], e.key)
		default:
			s.tables[e.table][e.key] = e.text
		}
	}
	s.at = tx.End
	if some {
		s.last = tx.Mark()
	}
	for _, m := range tx.Messages {
		s.messages = append(s.messages, string(m))
	}
	s.left += tx.MessagesLeft
	for _, text := range tx.Echoes {
		s.echoes = append(s.echoes, string(text))
	}
	s.ends, s.commits = append(s.ends, tx.End), append(s.commits, tx.Commit)
	return nil
}

func (s *sink) note(c *cdc.Change, key, old string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words[c.Table.Name] = c.Table
	s.changes = append(s.changes, fmt.Sprintf("%c %s %s", c.Op, c.Table.Name, max(key, old)))
	if _, ok := s.tables[c.Table.Name][key]; ok && c.Op == cdc.Insert {
		s.doubled = append(s.doubled, key)
	}
}

func (s *sink) Advance(at cdc.LSN, clock time.Time) (wake time.Time) {
	if s.onAdvance != nil {
		wake = s.onAdvance(clock)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = max(s.at, at)
	s.advances++
	return wake
}

func (s *sink) Sync(context.Context) (cdc.LSN, error) {
	if s.onSync != nil {
		s.onSync()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return 0, errors.New("the disk is gone")
	}
	s.syncs++
	s.save()
	if s.answers != 0 {
		return s.answers, nil
	}
	return s.at, nil
}

// checkpoint is where a sink that starts again would begin.
func (s *sink) checkpoint() cdc.Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved.from
}

// snapshots is how many it was given.
func (s *sink) snapshots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resets
}

// table is what the sink has of a table.
func (s *sink) table(spec cdc.TableSpec) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	maps.Copy(all, s.tables[spec.Name])
	return all
}

func (s *sink) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.changes)
}

// run follows the school until stop is called, which answers what Run answered.
func (s *school) run(t *testing.T, sink replication.Sink, from cdc.Checkpoint) (*replication.Reader, func() error) {
	t.Helper()
	r := replication.New(s.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, sink, from) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { require.NoError(t, stop()) })
	return r, stop
}

// watch lets the reader look at the server until what it answers is called.
func (s *school) watch(t *testing.T, r *replication.Reader) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Watch(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

func streaming(r *replication.Reader) func() bool {
	return func() bool { return r.Status().State == replication.Streaming }
}

// until waits for something that another goroutine or the server brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 30*time.Second, 2*time.Millisecond, what)
}

// agree waits until the sink has what the database has.
func (s *school) agree(t *testing.T, k *sink) {
	t.Helper()
	s.exec(t, "INSERT INTO work VALUES ('', 0, 0, 'the end') ON CONFLICT (student, assignment) DO UPDATE SET mark = work.mark || '.'")
	want := ask[string](t, s.Conn, "SELECT '0|0|' || mark FROM work WHERE student = 0 AND assignment = 0")
	until(t, "the last transaction arrives", func() bool { return k.table(work)["0/0"] == want })
	require.Equal(t, s.rows(t, work, workColumns), k.table(work))
	require.Equal(t, s.rows(t, people, peopleColumns), k.table(people))
	require.Empty(t, k.doubled, "rows of the snapshot that the log repeats")
	require.True(t, slices.IsSorted(k.commits), "commit order")
}
