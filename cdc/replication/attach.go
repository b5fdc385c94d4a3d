package replication

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// attach makes a connection, sees that the log continues where the sink stands, and
// follows it until the connection or ctx ends.
func (r *Reader) attach(ctx context.Context, sink Sink) error {
	c, err := connect(ctx, r.cfg, forReplication)
	if err != nil {
		return err
	}
	defer c.close(ctx)

	source, current, err := r.identify(ctx, c)
	if err != nil {
		return err
	}
	if err := r.inspect(ctx, c); err != nil {
		return err
	}
	slot, err := readSlot(ctx, c, r.cfg.Slot)
	if err != nil {
		return err
	}
	if r.source == (cdc.Source{}) {
		err = r.firstStart(ctx, c, source, slot, sink)
	} else {
		err = r.resume(c, source, slot, current)
	}
	if err != nil {
		return err
	}
	s, err := r.follower(ctx, c)
	if err != nil {
		return err
	}
	if err := start(ctx, c, r.cfg, r.at.durable); err != nil {
		return err
	}
	r.streamed = true
	r.board.set(Streaming, "")
	r.log.Info("following the log", "lsn", r.at.durable)
	return r.explainLog(r.follow(ctx, s, sink))
}

// explainLog knows the one way in which a log that is there can be unreadable for good:
// the server reads it with the catalogue of the time when it was written. Other things
// can be undefined, too, and the message may be in any language: it is the name that
// tells.
func (r *Reader) explainLog(err error) error {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || server.Code != "42704" || !strings.Contains(server.Message, r.cfg.Publication) {
		return err
	}
	return (&SetupError{
		Setting: "log after " + r.at.durable.String(), Got: "not readable (" + server.Message + "): it was written while the publication was missing",
		Want: "all of it written while there was one", Fix: afresh(r.cfg.Slot, true),
	}).because(err)
}

func (r *Reader) identify(ctx context.Context, c *conn) (cdc.Source, cdc.LSN, error) {
	who, err := pglogrepl.IdentifySystem(ctx, c.PgConn)
	if err != nil {
		return cdc.Source{}, 0, fmt.Errorf("ask the server who it is: %w", err)
	}
	return cdc.Source{System: who.SystemID, Timeline: who.Timeline, Database: who.DBName, Slot: r.cfg.Slot}, cdc.LSN(who.XLogPos), nil
}

// inspect refuses what could break the LMS or would not tell us everything. Once we
// have followed the log, staying away would only make it grow: then it is a matter of
// health.
func (r *Reader) inspect(ctx context.Context, c *conn) error {
	var found []Finding
	if !r.streamed {
		var err error
		if found, err = checkServer(ctx, c, r.cfg); err != nil {
			return err
		}
	}
	tables, more, err := checkTables(ctx, c, r.cfg)
	if err != nil {
		return err
	}
	wrong := problems(append(found, more...))
	if wrong != nil && !r.streamed {
		return wrong
	}
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	r.board.watched = wrong
	if r.tables == nil {
		r.tables = tables
	}
	return nil
}

// resume sees that the slot continues where the sink stands.
func (r *Reader) resume(c *conn, source cdc.Source, slot *slot, current cdc.LSN) error {
	if err := compare(slot, r.cfg.Slot, source, r.source, current, r.at.durable); err != nil {
		return err
	}
	if err := problems(slot.check(c, r.cfg.Slot)); err != nil {
		return err
	}
	raise(&r.board.confirmed, slot.confirmed)
	return nil
}

// follower prepares to follow the log on a connection.
func (r *Reader) follower(ctx context.Context, c *conn) (*stream, error) {
	ms, err := c.value(ctx, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'")
	if err != nil {
		return nil, fmt.Errorf("ask for wal_sender_timeout: %w", err)
	}
	n, err := strconv.Atoi(ms)
	if err != nil {
		return nil, fmt.Errorf("wal_sender_timeout: %w", err)
	}
	p := pace{reportEvery: 10 * time.Second, patience: time.Minute, syncEvery: r.cfg.SyncEvery, syncIdle: r.cfg.SyncIdle}
	if timeout := time.Duration(n) * time.Millisecond; timeout > 0 {
		p.reportEvery = min(p.reportEvery, timeout/3)
		p.patience = max(30*time.Second, timeout)
	}
	now := time.Now()
	r.decoder.Reset()
	return &stream{
		conn: c, board: r.board, at: &r.at, pace: p,
		now: now, reportAt: now.Add(p.reportEvery), syncedAt: now, appliedAt: now,
		transaction: transaction{decoder: &r.decoder, changed: r.changed},
	}, nil
}

// changed is told when the log describes a table in a new way: the LMS was upgraded.
// What the log itself shows is judged at once, the catalogue by Watch.
func (r *Reader) changed(t *cdc.Table) {
	key := false
	for _, c := range t.Columns {
		key = key || c.Key
	}
	var err error
	if t.Identity == cdc.IdentityNothing || !key {
		err = &SetupError{
			Setting: "replica identity of " + t.Schema + "." + t.Name, Got: "missing: the LMS's own UPDATE and DELETE fail", Want: "the primary key",
			Fix: "ALTER TABLE " + qualified(t.Schema, t.Name) + " ADD PRIMARY KEY (<columns>), or take the table out: ALTER PUBLICATION " + ident(r.cfg.Publication) + " DROP TABLE " + qualified(t.Schema, t.Name),
		}
	}
	r.board.mu.Lock()
	r.board.described = err
	r.board.mu.Unlock()
	select {
	case r.nudge <- struct{}{}:
	default: // Watch is on its way
	}
}
