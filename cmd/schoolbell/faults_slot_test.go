//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// slotFaults take the gateway's replication slot away. It makes another one, and what
// happened in between comes as its net effect.
//
// They do not come together with a kill: what the gateway had told and not yet made
// durable comes again with the log under the same ids, but with a snapshot it would come
// again under others. The kills here are at moments when all is durable.
func slotFaults() []faultKind {
	return []faultKind{
		{"slot dropped", 4, at(slotDropped)},
		{"slot dropped, killed before there is a new one", 2, at(func(ctx context.Context, s *faultSuite) (time.Time, error) {
			return s.killInRecovery(ctx, newTrap(asks("CREATE_REPLICATION_SLOT")))
		})},
		{"slot dropped, killed in the snapshot", 4, func(r *rand.Rand) happening {
			after := r.IntN(60_000)
			return func(ctx context.Context, s *faultSuite) (time.Time, error) {
				return s.killInRecovery(ctx, newTrap(snapshotBytes(after)))
			}
		}},
		{"slot dropped, killed after the snapshot", 2, at(func(ctx context.Context, s *faultSuite) (time.Time, error) {
			return s.killInRecovery(ctx, newTrap(asks("START_REPLICATION")))
		})},
		{"slot invalidated", 3, at(slotInvalidated)},
	}
}

// dropSlot ends who reads the slot, and drops it before anybody can read it again.
const dropSlot = `DO $$
DECLARE tries int := 0;
BEGIN
	LOOP
		PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'schoolbell' AND active;
		BEGIN
			PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'schoolbell';
			RETURN;
		EXCEPTION WHEN object_in_use THEN
			tries := tries + 1;
			IF tries > 10000 THEN RAISE; END IF;
			PERFORM pg_sleep(0.001);
		END;
	END LOOP;
END $$`

func slotDropped(ctx context.Context, s *faultSuite) (time.Time, error) {
	began := time.Now()
	return began, s.exec(ctx, dropSlot)
}

// killInRecovery drops the slot, and kills the gateway at a moment of what it does then.
func (s *faultSuite) killInRecovery(ctx context.Context, t *trap) (time.Time, error) {
	dropped := make(chan error, 1)
	go func() { dropped <- s.exec(ctx, dropSlot) }()
	began, err := s.killWhenSprung(ctx, t)
	return began, errors.Join(err, <-dropped)
}

// asks awaits a command of the replication protocol.
func asks(command string) func(wireMessage) bool {
	return func(m wireMessage) bool {
		return m.way == toServer && m.kind == 'Q' && m.link.followsLog() && bytes.HasPrefix(m.body, []byte(command))
	}
}

// snapshotBytes awaits that more than so much of a snapshot has come.
func snapshotBytes(limit int) func(wireMessage) bool {
	read := 0
	return func(m wireMessage) bool {
		if m.way == toClient && m.link.readsSnapshot() && m.kind == 'D' {
			read += len(m.raw)
		}
		return read > limit
	}
}

// slotInvalidated lets the server give the slot up while nobody reads it, as it does
// when max_slot_wal_keep_size is reached.
func slotInvalidated(ctx context.Context, s *faultSuite) (time.Time, error) {
	s.restarting.Lock()
	defer s.restarting.Unlock()
	began := time.Now()
	up, err := s.keeper.down(ctx, syscall.SIGTERM)
	if err == nil {
		err = s.invalidate(ctx)
	}
	return began, errors.Join(err, up())
}

func (s *faultSuite) invalidate(ctx context.Context) error {
	for _, sql := range []string{`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`, `SELECT pg_reload_conf()`} {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	lost := false
	for !lost && ctx.Err() == nil {
		for _, sql := range []string{`SELECT pg_switch_wal()`, `SELECT pg_logical_emit_message(false, '', '')`, `CHECKPOINT`} {
			if err := s.exec(ctx, sql); err != nil {
				return err
			}
		}
		conn, err := s.dba(ctx)
		if err == nil {
			err = conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE wal_status <> 'lost') = 0 FROM pg_replication_slots`).Scan(&lost)
			_ = conn.Close(ctx)
		}
		if err != nil {
			return fmt.Errorf("look at the slot: %w", err)
		}
	}
	for _, sql := range []string{`ALTER SYSTEM RESET max_slot_wal_keep_size`, `SELECT pg_reload_conf()`} {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
