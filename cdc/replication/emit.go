package replication

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// An Emitter writes echoes into the log, on a small connection of its own, which it keeps.
// Its methods are called by one goroutine.
type Emitter struct {
	cfg  Config
	conn *conn // nil: not connected
}

// NewEmitter makes one for the database of a Config. It connects when it is first used.
func NewEmitter(cfg Config) *Emitter { return &Emitter{cfg: cfg.withDefaults()} }

// Emit writes a text into the log, as a transaction of its own that touches no row. An
// error is one sentence with the remedy; the text may be in the log all the same.
func (e *Emitter) Emit(ctx context.Context, text string) error {
	if e.conn == nil {
		c, err := connect(ctx, e.cfg, forWatching)
		if err != nil {
			return err
		}
		e.conn = c
	}
	_, err := e.conn.query(ctx, "SELECT pg_catalog.pg_logical_emit_message(true, "+literal(cdc.EchoPrefix)+", "+literal(text)+")")
	if err == nil {
		return nil
	}
	role := e.conn.ParameterStatus("session_authorization")
	e.Close(ctx) // the next one may find another server
	return explainEmit(err, role)
}

// Close lets go of the connection.
func (e *Emitter) Close(ctx context.Context) {
	if e.conn != nil {
		e.conn.close(ctx)
		e.conn = nil
	}
}

func explainEmit(err error, role string) error {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if ok && server.Code == "42501" {
		return noEmitRight(role).because(err)
	}
	return fmt.Errorf("write into the log: %w; fix: see whether PostgreSQL answers, and what its log says", err)
}

func noEmitRight(role string) *SetupError {
	return &SetupError{
		level:   bearable, // everything else is told; it shows as a self-check that fails
		Setting: "right of role " + quoted(role) + " to run pg_logical_emit_message", Got: "missing, so that self_check can write nothing into the log", Want: "granted",
		Fix: "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO " + ident(role) + " (from PostgreSQL 17 on: boolean, text, text, boolean), or leave self_check out",
	}
}

// checkEmit looks whether echoes can be written.
func checkEmit(ctx context.Context, c *conn, cfg Config) ([]Finding, error) {
	if cfg.Echo == nil || c.version < messagesFrom {
		return nil, nil
	}
	rows, err := c.query(ctx, `
		SELECT r.rolname, pg_catalog.bool_or(pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE'))
		FROM pg_catalog.pg_roles r, pg_catalog.pg_proc p
		WHERE r.rolname = `+roleOr(cfg.Role)+` AND p.pronamespace = 'pg_catalog'::regnamespace
			AND p.proname = 'pg_logical_emit_message' AND p.proargtypes[2] = 'text'::regtype
		GROUP BY r.rolname`)
	if err != nil {
		return nil, fmt.Errorf("ask for the right to emit messages: %w", err)
	}
	if len(rows) == 1 && !rows[0].bool(1) {
		return []Finding{{Problem, noEmitRight(rows[0].text(0))}}, nil
	}
	return nil, nil
}
