package moodle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

// weeks is how long the term has been going on.
const weeks = 12

// Populate fills the tables that Create made with a term of work: assignments of all
// kinds and in all states, drafts, work handed in, grades. All of it is one transaction.
func Populate(ctx context.Context, conn *pgx.Conn, size school.Size, seed uint64) (*School, error) {
	if err := size.Check(); err != nil {
		return nil, err
	}
	s := &School{rand: school.NewRandom(seed), target: max(size.Assignments, 1)}
	t := &term{school: s, now: time.Now().Unix(), tables: map[string]*table{}}
	t.install()
	t.hire(size)
	t.openCourses()
	for i := range size.Assignments {
		t.assign(i, size.Assignments)
	}
	for range size.Students/10 + 1 {
		t.row("mdl_sessions", "sid userid timecreated timemodified", s.rand.Hex(26), int64(1), t.now, t.now)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return t.write(ctx, tx) }); err != nil {
		return nil, fmt.Errorf("populate Moodle: %w", err)
	}
	return s, nil
}

// term collects the rows of the term so far.
type term struct {
	school *School
	now    int64
	tables map[string]*table
	order  []string
}

type table struct {
	columns string
	rows    [][]any
}

// row adds a row and answers its id. The columns of a table are always the same.
func (t *term) row(name, columns string, values ...any) int64 {
	to, ok := t.tables[name]
	if !ok {
		to = &table{columns: "id " + columns}
		t.tables[name] = to
		t.order = append(t.order, name)
	}
	id := int64(len(to.rows) + 1)
	to.rows = append(to.rows, append([]any{id}, values...))
	return id
}

// context adds a context below another, and answers its id and path.
func (t *term) context(level, instance int64, parent string) (id int64, path string) {
	next := int64(1)
	if c, ok := t.tables["mdl_context"]; ok {
		next = int64(len(c.rows) + 1)
	}
	path = fmt.Sprintf("%s/%d", parent, next)
	return t.row("mdl_context", "contextlevel instanceid path depth", level, instance, path, strings.Count(path, "/")), path
}

func (t *term) write(ctx context.Context, tx pgx.Tx) error {
	for _, name := range t.order {
		to := t.tables[name]
		if err := school.Load(ctx, tx, name, strings.Fields(to.columns), to.rows); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
