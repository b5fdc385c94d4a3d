package replication

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/schoolbell/schoolbell/cdc"
)

func TestWhetherTheLogContinuesIsJudgedByTheWholeOfIt(t *testing.T) {
	was := cdc.Source{System: "1", Timeline: 3, Database: "lms", Slot: "s"}
	good := func() standing {
		return standing{name: "s", now: was, was: was, end: 900, at: 500, slot: &slot{plugin: "pgoutput", here: true, confirmed: 400, walStatus: "reserved"}}
	}
	for _, c := range []struct {
		name    string
		change  func(*standing)
		lost    Reason // "": none
		refused string // "": it is not
	}{
		{"as it was", func(*standing) {}, "", ""},
		{"all is confirmed", func(s *standing) { s.slot.confirmed = 500 }, "", ""},
		{"the log ends where we stand", func(s *standing) { s.end = 500 }, "", ""},
		{"another server", func(s *standing) { s.now.System = "2" }, "", "server is another one"},
		{"another server, adopted", func(s *standing) { s.now.System, s.adopt = "2", true }, OtherServer, ""},
		{"another server whose slot is in use, adopted", func(s *standing) { s.now.System, s.adopt, s.slot.activePID = "2", true, 7 }, "", "in use by pid 7"},
		{"another database", func(s *standing) { s.now.Database = "x" }, "", "database is"},
		{"another database, adopted", func(s *standing) { s.now.Database, s.adopt = "x", true }, OtherServer, ""},
		{"another slot name", func(s *standing) { s.name, s.old, s.slot = "new", s.slot, nil }, "", "slot name is"},
		{"another slot name, and the old slot is gone", func(s *standing) { s.name, s.slot = "new", nil }, SlotMissing, ""},
		{"no slot", func(s *standing) { s.slot = nil }, SlotMissing, ""},
		{"a slot that was given up", func(s *standing) { s.slot.walStatus = "lost" }, SlotInvalidated, ""},
		{"a slot that somebody reads", func(s *standing) { s.slot.activePID = 7 }, "", "in use by pid 7"},
		{"a slot that somebody read", func(s *standing) { s.slot.confirmed = 501 }, SlotAhead, ""},
		{"the log ends before", func(s *standing) { s.end = 499 }, ServerRestored, ""},
		{"the log ends before, and no slot", func(s *standing) { s.end, s.slot = 499, nil }, ServerRestored, ""},
		{"promoted, and nobody knows from where", func(s *standing) { s.now.Timeline = 4 }, ServerRestored, ""},
		{"promoted where we stand", func(s *standing) { s.now.Timeline, s.forks = 4, []fork{{2, 100}, {3, 500}} }, "", ""},
		{"promoted later", func(s *standing) { s.now.Timeline, s.forks = 5, []fork{{3, 600}, {4, 700}} }, "", ""},
		{"promoted before", func(s *standing) { s.now.Timeline, s.forks = 4, []fork{{3, 499}} }, ServerRestored, ""},
		{"promoted later, without the slot", func(s *standing) { s.now.Timeline, s.forks, s.slot = 4, []fork{{3, 600}}, nil }, SlotMissing, ""},
		{"an older timeline", func(s *standing) { s.now.Timeline, s.forks = 2, []fork{{1, 100}} }, ServerRestored, ""},
		{"a sister of our timeline", func(s *standing) { s.now.Timeline, s.forks = 4, []fork{{1, 100}, {2, 300}} }, ServerRestored, ""},
	} {
		s := good()
		c.change(&s)
		lost, err := s.judge()
		if c.refused != "" {
			require.ErrorContains(t, err, c.refused, c.name)
			require.Nil(t, lost, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		if c.lost == "" {
			require.Nil(t, lost, c.name)
			continue
		}
		require.NotNil(t, lost, c.name)
		require.Equal(t, c.lost, lost.reason, c.name)
		require.NotEmpty(t, lost.why, c.name)
	}
}

func TestATimelinesHistoryIsReadLineByLine(t *testing.T) {
	require.Equal(t, []fork{{1, 0x3000148}, {2, 0x5_00000000}},
		parseForks("1\t0/3000148\tno recovery target specified\n\n# a comment\nnonsense 0/1\n2\t5/0\tbefore 2026-01-01 00:00:00+00\n"))
	require.Empty(t, parseForks(""))
}

func TestPositionsGrowWhateverTheServerCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := serverLSN(rapid.Uint64Range(1, 1<<50).Draw(t, "at"))
		handed := cdc.LSN(rapid.Uint64Range(0, 1<<50).Draw(t, "handed"))
		was := cdc.LSN(rapid.Uint64Range(0, 1<<8).Draw(t, "offset") * offsetStep)
		p := positions{offset: offsetFor(at, was, handed)}
		require.Greater(t, p.ours(at), handed)
		require.Zero(t, p.offset%offsetStep, "the lower digits are the server's")
		require.GreaterOrEqual(t, p.offset, was)
		if p.offset > was {
			require.LessOrEqual(t, p.ours(at)-offsetStep, handed, "no more than is needed")
		}
		require.Equal(t, at, p.theirs(p.ours(at)))
	})
	require.Zero(t, offsetFor(5, 0, 4))
	require.Zero(t, (&positions{offset: 7}).theirs(5))
}

// Otherwise a kill at the wrong moment would leave nothing by which the next start could
// tell.
func TestNothingIsConfirmedBeforeTheLogIsKnownToBeTheOneThatWasRead(t *testing.T) {
	s := stream{at: &positions{durable: 500, handed: 600}, again: &again{from: 400, upTo: 600, last: cdc.Mark{Commit: 300}}}
	require.Equal(t, cdc.LSN(400), s.confirmable())
	require.NoError(t, s.reached())
	require.Equal(t, cdc.LSN(500), s.confirmable())
	require.True(t, s.asked, "and then at once")

	s.again = &again{from: 400, upTo: 600, last: cdc.Mark{Commit: 450, End: 460}}
	require.ErrorAs(t, s.reached(), new(*loss), "the newest transaction did not come again")
	require.Equal(t, cdc.LSN(400), s.confirmable())
}

func TestThatItWaitsForAnHourIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	r := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	now := time.Now()
	r.begun = []time.Time{now, now, now}
	for range 3 {
		err := r.claim(now, &loss{SlotMissing, "the slot is missing"})
		require.ErrorContains(t, err, "and another is needed: the slot is missing")
		require.True(t, passes(err))
		require.Greater(t, r.patience(err, 0), 30*time.Second)
	}
	require.Equal(t, 1, strings.Count(log.String(), "not following the log"))
	require.Greater(t, r.patience(errors.New("anything else"), time.Second), 400*time.Millisecond)
	require.Equal(t, 2, strings.Count(log.String(), "not following the log"))
	require.Zero(t, r.Status().Resnapshots[SlotMissing])
	require.Equal(t, now.Add(time.Hour), r.Status().PutOff)
	require.NoError(t, r.claim(now.Add(time.Hour), nil))
	require.Zero(t, r.Status().PutOff)
}

// logged is a transaction of a server's log.
type logged struct {
	cdc.Mark
	ours bool
}

// drawLog draws the log from a position on, behind a transaction, since a moment.
func drawLog(t *rapid.T, from cdc.LSN, xid uint32, since int64) []logged {
	var log []logged
	for range rapid.IntRange(0, 12).Draw(t, "transactions") {
		from += cdc.LSN(rapid.IntRange(0, 3).Draw(t, "of others"))
		end := from + cdc.LSN(rapid.IntRange(1, 3).Draw(t, "length"))
		xid++
		log = append(log, logged{cdc.Mark{XID: xid, Commit: from, End: end, Time: since + int64(end)}, rapid.Bool().Draw(t, "ours")})
		from = end
	}
	return log
}

// between are the transactions of ours that are sent from a position on and that begin
// before another.
func between(log []logged, from, to cdc.LSN) []cdc.Mark {
	var marks []cdc.Mark
	for _, tx := range log {
		if tx.ours && tx.Commit >= from && tx.Commit < to {
			marks = append(marks, tx.Mark)
		}
	}
	return marks
}

// sent is what a stream does with what comes again.
func (a *again) sent(log []logged) bool {
	for _, tx := range log {
		if tx.Commit < a.from {
			continue
		}
		if tx.Commit >= a.upTo {
			break
		}
		if a.matters(tx.Commit) && !a.came(tx.Mark, tx.ours) {
			return false
		}
	}
	return a.complete()
}

func TestALogThatWasSetBackIsToldFromTheOneThatWasRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t, 100, 1000, 0)
		ends := []cdc.LSN{100}
		for _, tx := range log {
			ends = append(ends, tx.End)
		}
		handed := rapid.IntRange(0, len(ends)-1).Draw(t, "handed")
		confirmed := rapid.IntRange(0, handed).Draw(t, "confirmed")
		var last cdc.Mark
		for _, tx := range log[:handed] {
			if tx.ours {
				last = tx.Mark
			}
		}
		// A keepalive may have taken us on into what others wrote.
		upTo := ends[handed]
		if handed < len(log) {
			upTo += cdc.LSN(rapid.IntRange(0, int(log[handed].Commit-upTo)).Draw(t, "keepalive"))
		} else {
			upTo += cdc.LSN(rapid.IntRange(0, 3).Draw(t, "keepalive"))
		}
		a := func() *again { return &again{from: ends[confirmed], upTo: upTo, last: last} }
		require.True(t, a().sent(log), "the log that was read")

		back := rapid.IntRange(confirmed, handed).Draw(t, "set back to")
		other := append(slices.Clone(log[:back]), drawLog(t, ends[back], 1000+uint32(back), 1_000_000)...)
		if rapid.Bool().Draw(t, "the same statements again") {
			other = slices.Clone(log)
			for i := range other[back:] {
				other[back+i].Time += 1_000_000
			}
		}
		same := slices.Equal(between(log, ends[confirmed], upTo), between(other, ends[confirmed], upTo))
		require.Equal(t, same, a().sent(other), "what we have is what the other log tells")
	})
}

func TestAtMostSoManySnapshotsWithinAnHour(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ago := func(minutes ...int) (all []time.Time) {
		for _, m := range minutes {
			all = append(all, now.Add(-time.Duration(m)*time.Minute))
		}
		return all
	}
	for _, c := range []struct {
		begun []time.Time
		after int // minutes
	}{
		{nil, 0},
		{ago(50, 10), 0},
		{ago(50, 10, 5), 10},
		{ago(5, 50, 10), 10},        // in any order
		{ago(90, 61, 60, 10, 5), 0}, // an hour has passed
		{ago(55, 50, 10, 5), 10},    // allowed more then
		{ago(-5, 10, 5), 0},         // a clock was wrong
		{ago(0, 0, 0), 60},
	} {
		require.Equal(t, now.Add(time.Duration(c.after)*time.Minute), nextSnapshot(c.begun, now, 3), "%v", c.begun)
	}
	require.Equal(t, now.Add(30*time.Minute), nextSnapshot(ago(30), now, 1))
}

func TestTheServerIsAskedForItsClockWhenItIsDueAndOnceASecond(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var c clock
	require.Zero(t, c.wakeAt())
	c.hear(now.Add(time.Hour), now) // the server's is an hour ahead
	c.wake = now.Add(time.Hour + 5*time.Second)
	require.Equal(t, now.Add(5*time.Second), c.wakeAt())
	c.asked = now.Add(4500 * time.Millisecond)
	require.Equal(t, now.Add(5500*time.Millisecond), c.wakeAt())
	c.hear(now.Add(-time.Hour), now) // it was put back
	require.Equal(t, now.Add(2*time.Hour+5*time.Second), c.wakeAt())
}
