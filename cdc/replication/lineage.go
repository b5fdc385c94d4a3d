package replication

import (
	"context"
	"fmt"
	"strings"
)

// lineage tells the publication and the tables of ours from others of the same names.
//
// A table that was taken out and added again, or whose columns were listed anew, has
// another row in pg_publication_rel; a publication whose actions were changed and
// changed back has another xmin. While it was so, the log lacked changes. Publications
// of all tables or of a schema have no such rows, and are refused elsewhere.
type lineage struct {
	text   string
	tables map[uint32]string // names by oid
}

// readLineage reads it as the connection's snapshot shows it.
func readLineage(ctx context.Context, c *conn, cfg Config) (lineage, error) {
	values := make([]string, len(cfg.Tables))
	for i, s := range cfg.Tables {
		values[i] = fmt.Sprintf("(%d,%s,%s)", i, literal(s.Schema), literal(s.Name))
	}
	rows, err := c.query(ctx, `
		SELECT COALESCE(p.oid, 0), COALESCE(p.xmin::text, '0'), COALESCE(c.oid, 0), COALESCE(pr.oid, 0)
		FROM (VALUES `+strings.Join(values, ",")+`) AS w (i, schema, name)
		LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
		LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
		LEFT JOIN pg_catalog.pg_publication p ON p.pubname = `+literal(cfg.Publication)+`
		LEFT JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid AND pr.prrelid = c.oid
		ORDER BY w.i`)
	if err != nil {
		return lineage{}, fmt.Errorf("read which tables the publication has: %w", err)
	}
	l := lineage{text: rows[0].text(0) + "." + rows[0].text(1), tables: map[uint32]string{}}
	for i, r := range rows {
		l.text += " " + r.text(2) + "." + r.text(3)
		l.tables[uint32(r.int(2))] = cfg.Tables[i].Schema + "." + cfg.Tables[i].Name
	}
	delete(l.tables, 0)
	return l, nil
}
