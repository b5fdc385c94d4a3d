package replication

import (
	"context"
	"fmt"

	"github.com/schoolbell/schoolbell/cdc"
)

// Look reads the tables as they are now, all in one snapshot, and gives them to take,
// with something that says how far the reading is, from any goroutine.
//
// It makes nothing and changes nothing: it needs no slot, no publication and no
// REPLICATION right, only SELECT on the columns, and a standby is as good as the primary.
// So the snapshot's At is where the log was, and no place to follow it from. take may
// leave rows unread.
func Look(ctx context.Context, cfg Config, take func(snap *cdc.Snapshot, progress func() Progress) error) error {
	cfg = cfg.withDefaults()
	if len(cfg.Tables) == 0 {
		return noTables()
	}
	c, err := connect(ctx, cfg, forSQL)
	if err != nil {
		return err
	}
	defer c.close(ctx)
	if err := openSnapshot(ctx, c, cfg); err != nil {
		return err
	}
	s := &snapshotReader{conn: c, board: newBoard(cfg.Tables)}
	if s.tables, err = readable(ctx, c, cfg); err != nil {
		return err
	}
	if err := s.expect(ctx); err != nil {
		return err
	}
	snap := &cdc.Snapshot{Rows: func(yield func(cdc.Row, error) bool) { s.yield(ctx, yield) }}
	if snap.Time, err = readClock(ctx, c); err != nil {
		return err
	}
	if snap.At, err = readEnd(ctx, c); err != nil {
		return err
	}
	if err := take(snap, s.board.look); s.failed == nil {
		return err
	}
	return s.failed // of which err is what take made
}

// readable answers the tables, if they are what the profile takes them for and the role
// may read what it needs of them.
func readable(ctx context.Context, c *conn, cfg Config) ([]*table, error) {
	tables, found, err := sound(ctx, c, cfg, "")
	if err != nil {
		return nil, err
	}
	role, err := c.value(ctx, "SELECT current_user")
	if err != nil {
		return nil, fmt.Errorf("ask who we are: %w", err)
	}
	for _, t := range tables {
		found = append(found, t.checkRights(role)...)
	}
	return tables, problems(found)
}

// readEnd is where the log ends, on a standby as far as it has come.
func readEnd(ctx context.Context, c *conn) (cdc.LSN, error) {
	end, err := c.value(ctx, `SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
		THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END`)
	if err != nil {
		return 0, fmt.Errorf("ask where the log ends: %w", err)
	}
	return cdc.ParseLSN(end)
}
