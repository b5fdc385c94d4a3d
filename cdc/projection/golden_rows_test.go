package projection_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// goldenTables is the database of a story: its rows, and the changes that the log would carry.
type goldenTables struct {
	t         *testing.T
	tables    map[string]*goldenTable
	published []*goldenTable // in the order of the snapshot
	changes   []cdc.Change   // of the transaction at hand
}

type goldenTable struct {
	name    string
	columns []goldenColumn
	rows    map[string][]cdc.Value // by key, of all columns
	order   []string               // keys, as they were inserted
	log     *cdc.Table             // as the log describes it; nil: it is not published
	sent    []int                  // its columns, among all
}

type goldenColumn struct {
	name     string
	typ      uint32
	key      bool // rows are known by it in a story
	identity bool // part of the replica identity
	standard cdc.Value
}

// goldenType is a type by its name in PostgreSQL.
func goldenType(name string) (oid uint32, ok bool) {
	oid, ok = map[string]uint32{
		"bool": 16, "int8": 20, "int2": 21, "int4": 23, "text": 25, "float8": 701, "bpchar": 1042, "varchar": 1043,
		"date": 1082, "timestamp": 1114, "timestamptz": 1184, "numeric": 1700, "uuid": 2950, "jsonb": 3802,
	}[name]
	return oid, ok
}

func newGoldenTables(t *testing.T, file string) *goldenTables {
	t.Helper()
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	d := &goldenTables{t: t, tables: map[string]*goldenTable{}}
	for _, line := range goldenLines(t, src) {
		name, columns, ok := strings.Cut(line, ": ")
		require.True(t, ok, "%s: a table is NAME: COLUMN TYPE, …: %s", file, line)
		table := &goldenTable{name: name, rows: map[string][]cdc.Value{}}
		for text := range strings.SplitSeq(columns, ", ") {
			table.columns = append(table.columns, d.column(line, text))
		}
		require.NotContains(t, d.tables, name, file)
		d.tables[name] = table
	}
	return d
}

// column reads "NAME TYPE", maybe with " key", " = VALUE" or " identity = VALUE" behind it.
func (d *goldenTables) column(line, text string) goldenColumn {
	words := goldenWords(d.t, text)
	require.GreaterOrEqual(d.t, len(words), 2, "a column is NAME TYPE: %q in %s", text, line)
	typ, ok := goldenType(words[1])
	require.True(d.t, ok, "unknown type %q in %s", words[1], line)
	c := goldenColumn{name: words[0], typ: typ, standard: cdc.Value{Kind: cdc.Null}}
	rest := words[2:]
	if len(rest) > 0 && rest[0] == "identity" {
		c.identity, rest = true, rest[1:]
	}
	switch {
	case len(rest) == 0:
	case len(rest) == 1 && rest[0] == "key":
		c.key, c.identity = true, true
	case len(rest) == 2 && rest[0] == "=":
		c.standard = d.value(line, c, rest[1])
	default:
		require.Fail(d.t, "a column is NAME TYPE, NAME TYPE key, NAME TYPE = VALUE or NAME TYPE identity = VALUE", "%q in %s", text, line)
	}
	return c
}

// publish publishes what a profile reads.
func (d *goldenTables) publish(p *profile.Profile) {
	for i, spec := range p.Tables() {
		table := d.table("the profile", spec.Name)
		table.log = &cdc.Table{OID: uint32(1000 + i), Schema: spec.Schema, Name: spec.Name, Identity: cdc.IdentityDefault}
		wanted := slices.Clone(spec.Columns)
		for n, c := range table.columns {
			at := slices.Index(wanted, c.name)
			if at < 0 && !c.identity {
				continue
			}
			if at >= 0 {
				wanted = slices.Delete(wanted, at, at+1)
			}
			table.sent = append(table.sent, n)
			table.log.Columns = append(table.log.Columns, cdc.Column{Name: c.name, Type: c.typ, Key: c.identity})
			if c.identity && !c.key {
				table.log.Identity = cdc.IdentityIndex
			}
		}
		require.Empty(d.t, wanted, "the profile reads columns of %s that are not in tables.txt", spec.Name)
		d.published = append(d.published, table)
	}
}

func (d *goldenTables) table(line, name string) *goldenTable {
	table, ok := d.tables[name]
	require.True(d.t, ok, "%s: there is no table %q in tables.txt", line, name)
	return table
}

// change does what one line of a story says.
func (d *goldenTables) change(line string) {
	words := goldenWords(d.t, line)
	require.GreaterOrEqual(d.t, len(words), 2, line)
	table, rest := d.table(line, words[1]), words[2:]
	key := ""
	if verb := words[0]; verb == "update" || verb == "delete" {
		require.NotEmpty(d.t, rest, "%s: which row?", line)
		key, rest = rest[0], rest[1:]
		require.Contains(d.t, table.rows, key, "%s: there is no such row", line)
	}
	switch words[0] {
	case "insert":
		d.insert(line, table, rest)
	case "update":
		d.update(line, table, key, rest)
	case "delete":
		require.Empty(d.t, rest, line)
		d.note(table, cdc.Delete, table.rows[key], nil)
		delete(table.rows, key)
		table.order = slices.DeleteFunc(table.order, func(k string) bool { return k == key })
	case "truncate":
		require.Empty(d.t, rest, line)
		clear(table.rows)
		table.order = nil
		d.note(table, cdc.Truncate, nil, nil)
	default:
		require.Fail(d.t, "a line begins with insert, update, delete, truncate or clock", line)
	}
}

func (d *goldenTables) insert(line string, table *goldenTable, named []string) {
	row := make([]cdc.Value, len(table.columns))
	for i, c := range table.columns {
		row[i] = c.standard
	}
	d.assign(line, table, row, named)
	key := table.key(row)
	require.NotContains(d.t, table.rows, key, "%s: there is such a row already", line)
	table.rows[key] = row
	table.order = append(table.order, key)
	d.note(table, cdc.Insert, nil, row)
}

func (d *goldenTables) update(line string, table *goldenTable, key string, named []string) {
	was := table.rows[key]
	row := slices.Clone(was)
	d.assign(line, table, row, named)
	now := table.key(row)
	var old []cdc.Value
	if now != key {
		require.NotContains(d.t, table.rows, now, "%s: there is such a row already", line)
	}
	for i, c := range table.columns {
		if c.identity && row[i].Kind != cdc.Unchanged && string(row[i].Data) != string(was[i].Data) {
			old = was
		}
	}
	d.note(table, cdc.Update, old, row)
	for i := range row {
		if row[i].Kind == cdc.Unchanged {
			row[i] = was[i]
		}
	}
	delete(table.rows, key)
	table.rows[now] = row
	table.order[slices.Index(table.order, key)] = now
}

// assign sets the columns that a line names.
func (d *goldenTables) assign(line string, table *goldenTable, row []cdc.Value, named []string) {
	for _, word := range named {
		name, text, ok := strings.Cut(word, "=")
		require.True(d.t, ok, "%s: %q is not COLUMN=VALUE", line, word)
		at := slices.IndexFunc(table.columns, func(c goldenColumn) bool { return c.name == name })
		require.GreaterOrEqual(d.t, at, 0, "%s: table %s has no column %q", line, table.name, name)
		row[at] = d.value(line, table.columns[at], text)
	}
}

// note notes a change as the log carries it.
func (d *goldenTables) note(table *goldenTable, op cdc.Op, old, row []cdc.Value) {
	if table.log == nil {
		return
	}
	c := cdc.Change{Op: op, Table: table.log}
	if row != nil {
		c.New = table.publish(row)
	}
	if old != nil {
		c.Old = table.publish(old)
		for i, column := range table.log.Columns {
			if !column.Key {
				c.Old[i] = cdc.Value{Kind: cdc.Null}
			}
		}
	}
	d.changes = append(d.changes, c)
}

// take takes the changes at hand.
func (d *goldenTables) take() []cdc.Change {
	changes := d.changes
	d.changes = nil
	return changes
}

// rows yields all published rows, table by table.
func (d *goldenTables) rows(yield func(cdc.Row, error) bool) {
	for _, table := range d.published {
		for _, key := range table.order {
			if !yield(cdc.Row{Table: table.log, Values: table.publish(table.rows[key])}, nil) {
				return
			}
		}
	}
}

// publish are the published columns of a row.
func (t *goldenTable) publish(row []cdc.Value) []cdc.Value {
	sent := make([]cdc.Value, len(t.sent))
	for i, at := range t.sent {
		sent[i] = row[at]
	}
	return sent
}

func (t *goldenTable) key(row []cdc.Value) string {
	var parts []string
	for i, c := range t.columns {
		if c.key {
			parts = append(parts, string(row[i].Data))
		}
	}
	return strings.Join(parts, ":")
}

// value reads a value as a story has it, and gives it as PostgreSQL writes it.
func (d *goldenTables) value(line string, c goldenColumn, text string) cdc.Value {
	switch text {
	case "NULL":
		return cdc.Value{Kind: cdc.Null}
	case "~":
		return cdc.Value{Kind: cdc.Unchanged}
	}
	if strings.HasPrefix(text, `"`) {
		plain, err := strconv.Unquote(text)
		require.NoError(d.t, err, line)
		text = plain
	}
	at, err := time.Parse(time.RFC3339, text)
	isTime := err == nil
	switch c.typ {
	case 20, 21, 23: // int8, int2, int4
		if isTime {
			text = strconv.FormatInt(at.Unix(), 10)
		}
		_, err := strconv.ParseInt(text, 10, 64)
		require.NoError(d.t, err, "%s: %s", line, c.name)
	case 16: // bool
		require.Contains(d.t, []string{"true", "false"}, text, "%s: %s", line, c.name)
		text = text[:1]
	case 1114: // timestamp
		require.True(d.t, isTime, "%s: %s is a time, 2026-11-23T10:00:00Z", line, c.name)
		text = at.UTC().Format("2006-01-02 15:04:05.999999")
	case 1184: // timestamptz
		require.True(d.t, isTime, "%s: %s is a time, 2026-11-23T10:00:00Z", line, c.name)
		text = at.UTC().Format("2006-01-02 15:04:05.999999+00")
	}
	return cdc.Value{Kind: cdc.Text, Data: []byte(text)}
}

// goldenWords splits a line at its blanks, but for those in double quotes.
func goldenWords(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	var word strings.Builder
	quoted, escaped := false, false
	for _, c := range line {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			continue
		}
		word.WriteRune(c)
	}
	require.False(t, quoted, "a quote is not closed: %s", line)
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}
