package replication

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// attach makes a connection, sees whether the log continues where the sink stands,
// gives it the tables anew where it does not, and follows the log until the connection
// or ctx ends, or Watch finds that there is something to be seen to.
func (r *Reader) attach(ctx context.Context, sink Sink) error {
	c, err := connect(ctx, r.cfg, forReplication)
	if err != nil {
		return err
	}
	defer c.close(ctx)

	now, end, err := r.identify(ctx, c)
	if err != nil {
		return err
	}
	slot, err := readSlot(ctx, c, r.cfg.Slot)
	if err != nil {
		return err
	}
	lost, err := r.judge(ctx, c, now, end, slot)
	if err != nil {
		return err
	}
	lost, err = r.inspect(ctx, c, now, slot, lost)
	if err != nil {
		return err
	}
	first := r.source == (cdc.Source{})
	if first || lost != nil {
		err = r.fill(ctx, c, now, slot, lost, sink)
	} else {
		err = r.resume(c, now, slot)
	}
	if err != nil {
		return err
	}
	// A client's position may be anything up to here. What arrives first carries a place
	// of its own, and not how far the log goes.
	raise(&r.board.serverEnd, r.at.ours(end))
	s, err := r.follower(ctx, c)
	if err != nil {
		return err
	}
	from := r.at.durable
	if !first && lost == nil {
		from = r.at.ours(slot.confirmed)
		s.again = &again{from: from, upTo: r.at.handed, last: r.at.last}
	}
	if err := start(ctx, c, r.cfg, r.at.theirs(from)); err != nil {
		return r.explainLog(err)
	}
	r.staying, r.followed = true, true
	r.board.set(Streaming, "")
	r.sayFollowing(c)
	following, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	r.watched(r.source.Lineage, interrupt)
	defer r.watched("", nil)
	err = r.follow(following, s, sink)
	if lacks, ok := errors.AsType[*lacksColumns](err); ok {
		return r.goWithout(lacks)
	}
	return r.explainLog(err)
}

// judge finds out whether the log continues where the sink stands. At a first start
// there is nothing to continue.
func (r *Reader) judge(ctx context.Context, c *conn, now cdc.Source, end serverLSN, slot *slot) (*loss, error) {
	if r.source == (cdc.Source{}) {
		return nil, nil
	}
	s := standing{name: r.cfg.Slot, now: now, was: r.source, end: end, at: r.at.theirs(r.at.handed), slot: slot, adopt: r.cfg.Adopt}
	var err error
	if r.source.Slot != r.cfg.Slot {
		if s.old, err = readSlot(ctx, c, r.source.Slot); err != nil {
			return nil, err
		}
	}
	if now.Timeline != r.source.Timeline {
		if s.forks, err = readForks(ctx, c, now.Timeline); err != nil {
			return nil, err
		}
	}
	found, err := s.judge()
	if err != nil {
		return nil, err
	}
	// What was found first is the reason; the rest may be what we did about it.
	for _, lost := range []*loss{r.lost, found, r.stale} {
		if lost != nil {
			return lost, nil
		}
	}
	return nil, nil
}

// explainLog knows the two ways in which a log that is there can be unreadable for good:
// the server reads it with the catalogue of the time when it was written, and a part of
// it can have been removed. Other things can be undefined or missing, too, and the
// message may be in any language: it is the names in it that tell.
func (r *Reader) explainLog(err error) error {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		unpublished := server.Code == "42704" && strings.Contains(server.Message, r.cfg.Publication)
		removed := server.Code == "58P01" && segment.MatchString(server.Message)
		if unpublished || removed {
			err = &loss{LogUnreadable, "the server cannot read its log (" + server.Message + ")"}
		}
	}
	if lost, ok := errors.AsType[*loss](err); ok {
		r.lost = lost
	}
	return err
}

// segment is the name of a file of the log.
var segment = regexp.MustCompile(`\b[0-9A-F]{24}\b`)

func (r *Reader) identify(ctx context.Context, c *conn) (cdc.Source, serverLSN, error) {
	who, err := pglogrepl.IdentifySystem(ctx, c.PgConn)
	if err != nil {
		return cdc.Source{}, 0, fmt.Errorf("ask the server who it is: %w", err)
	}
	return cdc.Source{System: who.SystemID, Timeline: who.Timeline, Database: who.DBName, Slot: r.cfg.Slot}, serverLSN(who.XLogPos), nil
}

// resume goes on with the log, which continues where the sink stands.
func (r *Reader) resume(c *conn, now cdc.Source, slot *slot) error {
	if err := problems(slot.check(c, r.cfg.Slot)); err != nil {
		return err
	}
	if now.Timeline != r.source.Timeline {
		moved := r.source
		moved.Timeline = now.Timeline
		if r.cfg.Moved != nil {
			if err := r.cfg.Moved(moved); err != nil {
				return &sinkError{fmt.Errorf("note the server's new timeline: %w", err)}
			}
		}
		r.log.Info("a standby took over, which has all that we have read", "timeline", now.Timeline)
		r.source = moved
	}
	raise(&r.board.confirmed, r.at.ours(slot.confirmed))
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
		now: now, reportAt: now.Add(p.reportEvery), appliedAt: now, syncing: syncing{began: now},
		transaction: transaction{
			decoder: &r.decoder, changed: r.changed, suits: r.cfg.Suits, tables: r.tables, heeds: r.cfg.Messages, echo: r.cfg.Echo,
		},
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

// sayFollowing tells the log from where, and after how long without.
func (r *Reader) sayFollowing(c *conn) {
	attrs := []any{"lsn", r.at.theirs(r.at.handed), "pos", r.at.handed, "postgres", c.ParameterStatus("server_version")}
	if !r.away.IsZero() {
		attrs = append(attrs, "away", time.Since(r.away).Round(time.Millisecond))
	}
	r.away = time.Time{}
	r.log.Info("following the log", attrs...)
}
