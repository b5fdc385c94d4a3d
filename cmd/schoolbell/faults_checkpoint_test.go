//go:build linux

package main

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// checkpoint lets nobody write, gives everybody their rights back, waits until all
// have everything, and judges what came since the last one.
func (s *faultSuite) checkpoint() {
	s.t.Helper()
	ctx, cancel := s.patience("checkpoint")
	defer cancel()
	s.lms.turn.Lock()
	defer s.lms.turn.Unlock()
	if s.lms.long != nil {
		s.must(s.lms.endLong(ctx))
	}
	s.must(s.lms.commit(ctx, s.giveBack))
	conn, err := pgx.Connect(ctx, s.lms.url)
	s.must(err)
	defer conn.Close(context.WithoutCancel(ctx))

	var text string
	s.must(conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&text))
	end, err := cdc.ParseLSN(text)
	s.must(err)
	s.must(s.lms.commit(ctx, saveAgain)) // something of ours after the end, so that the cursor passes it
	v := verdict{}
	want := (&oracle{conn: conn}).counts(s.t)
	got := map[int64][]received{}
	told := map[int64][]string{}
	for _, d := range s.dashboards {
		s.must(d.until(ctx, "counts after "+text, func() bool { return d.at.LSN >= end && d.position.LSN >= end && d.refused == "" }))
		d.mu.Lock()
		got[d.person], told[d.person] = d.events, d.told
		if d.counts != want[d.person] {
			v.say(&v.counts, "person %d has the counts %+v, which should be %+v", d.person, d.counts, want[d.person])
		}
		d.events, d.told = nil, nil
		d.mu.Unlock()
	}
	transactions := s.committed(ctx, conn)
	recoveries, diskFull, err := s.keeper.since()
	s.must(err)
	hadNoRights := withoutRights(transactions)
	var judged verdict
	s.truth, judged = judge(s.truth, transactions, recoveries, got)
	v.add(judged)
	for person, words := range told {
		judgeGoodbyes(&v, person, words, hadNoRights[person], diskFull)
	}
	s.verdict.add(v)
	require.Zero(s.t, v.wrong(), "%v\n%s", &v, strings.Join(v.said, "\n"))
}

// giveBack gives everybody who should be connected the right to be.
func (s *faultSuite) giveBack(ctx context.Context, tx pgx.Tx) error {
	for _, p := range s.staff {
		if _, err := tx.Exec(ctx, `UPDATE accounts_user SET role = $2, is_active = true WHERE id = $1`, p.ID, p.Role); err != nil {
			return err
		}
	}
	return nil
}

// committed answers what was committed since the last verdict.
func (s *faultSuite) committed(ctx context.Context, conn *pgx.Conn) []transaction {
	s.t.Helper()
	all, err := readTransactions(ctx, conn, s.judged)
	s.must(err)
	for i := range all {
		t := &all[i]
		t.after = s.lms.ends[t.n]
		switch {
		case t.after != 0:
		case i+1 < len(all):
			t.after = all[i+1].before
		default:
			t.after = ^cdc.LSN(0)
		}
	}
	clear(s.lms.ends)
	if len(all) > 0 {
		s.judged = all[len(all)-1].n
	}
	return all
}

// withoutRights are the people who at some time had no right to be connected.
func withoutRights(transactions []transaction) map[int64]bool {
	without := map[int64]bool{}
	for _, t := range transactions {
		for _, c := range t.changes {
			if c.key.place == "people" && (c.row == nil || !c.row.Active || !slices.Contains([]string{"teacher", "tutor", "admin"}, c.row.Role)) {
				without[c.key.id] = true
			}
		}
	}
	return without
}

// judgeGoodbyes looks at the refusals and the goodbyes that somebody got: whoever may
// be connected is never told to stay away, and a client that does nothing wrong is
// never told that it does.
func judgeGoodbyes(v *verdict, person int64, told []string, hadNoRights, diskFull bool) {
	for _, word := range told {
		switch word {
		case "going_away", "not_ready", "heartbeat_timeout", "slow_consumer":
		case "internal_error": // the history cannot be read
			if !diskFull {
				v.say(&v.lost, "person %d was told %q, and no disk was full", person, word)
			}
		case "credentials_revoked", "role_not_allowed", "account_inactive":
			if !hadNoRights {
				v.say(&v.lost, "person %d was told %q and had every right", person, word)
			}
		default:
			v.say(&v.lost, "person %d was told %q", person, word)
		}
	}
}
