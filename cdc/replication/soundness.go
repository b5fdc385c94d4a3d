package replication

import (
	"context"
	"fmt"
)

// Soundness is what the publication is worth. It is zero before the first look.
type Soundness struct {
	// Publication: it is there, has every table and column that the profile needs, and
	// harms no statement of the LMS. What is optional may lack.
	Publication bool
	// Identity: the server can tell apart the rows of every table in it by what is
	// published, so that no UPDATE and no DELETE of the LMS fails for it.
	Identity bool
}

// soundness says what the publication is worth, of which this was found: of the tables
// and itself, not of our rights.
func (p *publication) soundness(found []Finding) Soundness {
	return Soundness{
		Publication: p != nil && worst(found) == bearable && p.failing == 0,
		Identity:    p == nil || p.failing == 0, // what is not published fails nobody
	}
}

// readFailing counts the tables in a publication on which the LMS's own UPDATE and DELETE
// fail, whoever put them there and whether the profile knows them: those without an
// identity that serves, and those whose column list or filter does not go with it.
func readFailing(ctx context.Context, c *conn, publication string) (int64, error) {
	list, filtered := "NULL::int2[]", "false"
	if c.version >= listsFrom {
		list = "pr.prattrs::int2[]"
		// The tree of a filter names the columns by their number.
		filtered = `EXISTS (SELECT FROM pg_catalog.regexp_matches(pr.prqual::text, ':varattno (\d+)', 'g') AS used
			WHERE c.relreplident <> 'f' AND NOT used[1]::int2 = ANY (k.columns))`
	}
	rows, err := c.query(ctx, `
		SELECT count(*) FROM pg_catalog.pg_publication p
		JOIN pg_catalog.pg_publication_tables pt ON pt.pubname = p.pubname
		JOIN pg_catalog.pg_namespace n ON n.nspname = pt.schemaname
		JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = pt.tablename
		LEFT JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid AND pr.prrelid = c.oid
		LEFT JOIN LATERAL (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS columns FROM pg_catalog.pg_index i
			WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
			AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END) k ON true
		WHERE p.pubname = `+literal(publication)+` AND (p.pubupdate OR p.pubdelete) AND (
			CASE c.relreplident WHEN 'f' THEN `+list+` IS NOT NULL
				ELSE k.columns IS NULL OR NOT COALESCE(k.columns <@ `+list+`, true) END OR `+filtered+`)`)
	if err != nil {
		return 0, fmt.Errorf("look for tables of which UPDATE and DELETE fail: %w", err)
	}
	return rows[0].int(0), nil
}
