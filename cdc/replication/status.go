package replication

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// State is what Run is doing.
type State string

const (
	Idle         State = "idle"         // Run has not begun, or has ended
	Connecting   State = "connecting"   // to the server, and checking it
	MakingSlot   State = "making slot"  // which waits for the transactions that run
	Snapshotting State = "snapshotting" // reading the tables
	Streaming    State = "streaming"    // following the log
	Waiting      State = "waiting"      // before the next attempt; Reason says what for
)

// States are all of them.
var States = [...]State{Idle, Connecting, MakingSlot, Snapshotting, Streaming, Waiting}

// Cause is why a connection or an attempt ended, in few words for a metric's label.
type Cause string

const (
	ServerGone     Cause = "server_gone"     // not reachable, or it closed the connection
	ServerShutdown Cause = "server_shutdown" // it said that it ends or that it is starting
	Terminated     Cause = "terminated"      // an administrator ended our walsender
	SlotInUse      Cause = "slot_in_use"
	Setup          Cause = "setup"    // something has to be put right
	Protocol       Cause = "protocol" // what the server sent made no sense
	SinkFailed     Cause = "sink"     // what was read could not be applied
	LogLost        Cause = "log_lost" // the log does not continue where we stand
	OtherCause     Cause = "other"
)

// Causes are all of them.
var Causes = [...]Cause{ServerGone, ServerShutdown, Terminated, SlotInUse, Setup, Protocol, SinkFailed, LogLost, OtherCause}

// Status is how things stand.
type Status struct {
	State  State
	Reason string // why Run is not following the log; "" when it is
	// Health is what Watch or the log found wrong with the slot, the publication or a
	// table, each with its remedy; nil: nothing.
	Health error
	// Degraded says that Health is of optional columns alone: everything else is told.
	Degraded bool
	// Sound is what the last look at the publication found, whoever took it.
	Sound Soundness
	// Identity is the part of Health about tables whose rows the server cannot tell apart:
	// once they are published, the LMS's own UPDATE and DELETE fail. nil: there is none.
	Identity error
	Unfit    error // the rest of Health
	// Upgrade says since when the publication has been widened for an upgrade of the LMS,
	// and what to run when that is over; nil: it is not.
	Upgrade error

	ServerEnd cdc.LSN // end of the server's log as far as we know
	Applied   cdc.LSN // the sink has everything before
	Confirmed cdc.LSN // the server was told that it may forget everything before
	LagBytes  int64   // from Applied to ServerEnd, log of others included
	// Lag is the time since the commit that was applied last, or since there was none to
	// apply, or since Run began, while the server has newer log or cannot be asked; 0 when
	// CaughtUp.
	Lag      time.Duration
	CaughtUp bool // what the server had for us is applied

	Snapshot     Progress
	Transactions int64
	Loose        int64           // messages of ours that belonged to no transaction, and were left
	Rows         []TableRows     // in the order of Config.Tables
	Reconnects   map[Cause]int64 // every cause is there
	// Resnapshots counts how often the tables were begun to be read again because the
	// log did not continue. Every reason is there.
	Resnapshots map[Reason]int64
	// PutOff is until when a snapshot that is needed has to wait, as too many were taken;
	// zero: none has to.
	PutOff time.Time
	Slot   SlotStatus // as Watch saw it last
}

// Progress is how far the snapshot is.
type Progress struct {
	Table     string        // being read; "" before and after
	Rows      int64         // read so far, of all tables
	Expected  int64         // of all tables, by the planner's estimate
	PerSecond float64       // rows
	Share     float64       // 0 to 1; 1 only when all is read
	Remaining time.Duration // until all is read, by the speed and the estimate; 0: none is being read, or nobody can say yet
	Done      bool          // one is complete and durable, of this run or an earlier one, also while another is read
}

// TableRows counts the rows that were applied, snapshot rows excluded.
type TableRows struct {
	Table                                string // schema.name
	Inserts, Updates, Deletes, Truncates int64
}

// SlotStatus is what the slot costs the server.
type SlotStatus struct {
	Seen      time.Time // zero: never
	HeldBytes int64     // log that the server keeps for it
	WALStatus string    // reserved, extended, unreserved or lost; "" before PostgreSQL 13
	SafeBytes int64     // that may be written before the slot is lost; -1: no limit
	ActivePID int64     // 0: nobody reads it
	Held      Held      // why the log is kept
	// Invalidated is why the server has given it up, as pg_replication_slots of
	// PostgreSQL 17 says it; before that it has one reason, wal_removed. "": it has not.
	Invalidated string
	Spilled     Spilled
}

// Spilled is what the server wrote to its disk of transactions that it decoded for the
// slot, as they were larger than logical_decoding_work_mem. It counts since the slot was
// made, or the server's statistics were reset; PostgreSQL 13 does not say.
type Spilled struct{ Transactions, Bytes int64 }

// counter counts one table's changes.
type counter struct {
	name                                 string
	inserts, updates, deletes, truncates atomic.Int64
}

func (c *counter) count(op cdc.Op) {
	switch op {
	case cdc.Insert:
		c.inserts.Add(1)
	case cdc.Update:
		c.updates.Add(1)
	case cdc.Delete:
		c.deletes.Add(1)
	case cdc.Truncate:
		c.truncates.Add(1)
	}
}

// board is where Run and Watch write what Status reads.
type board struct {
	serverEnd, applied, confirmed atomic.Uint64
	transactions, loose           atomic.Int64
	caughtUp                      atomic.Bool
	fresh                         atomic.Int64 // Unix nanoseconds: what was committed before is applied
	applying                      atomic.Int64 // Unix nanoseconds: since when the sink has the transaction it has; 0: none
	rows, expected, snapshotBegan atomic.Int64
	counters                      []*counter // the slice and the pointers never change

	mu         sync.Mutex // guards what follows
	state      State
	reason     string
	watched    error // health by Watch
	described  error // health by the last change of a table in the log, until Watch has looked
	identity   error // the part of watched about rows that cannot be told apart
	unfit      error // the rest of watched
	degraded   bool  // watched is of optional columns alone
	sound      Soundness
	upgrade    error // that the publication is widened
	table      string
	done       bool
	perSecond  float64
	reconnects map[Cause]int64
	again      map[Reason]int64
	putOff     time.Time
	slot       SlotStatus
	offset     cdc.LSN   // what our positions are ahead of the server's
	newer      cdc.LSN   // an end of the server's log that Watch saw
	newerSince time.Time // when it did
}

func newBoard(specs []cdc.TableSpec) *board {
	b := &board{state: Idle, reason: "not started", reconnects: map[Cause]int64{}, again: map[Reason]int64{}}
	for _, c := range Causes {
		b.reconnects[c] = 0
	}
	for _, r := range Reasons {
		b.again[r] = 0
	}
	for _, s := range specs {
		b.counters = append(b.counters, &counter{name: s.Schema + "." + s.Name})
	}
	return b
}

func (b *board) counter(t *cdc.Table) *counter {
	for _, c := range b.counters {
		if c.name == t.Schema+"."+t.Name {
			return c
		}
	}
	return nil
}

func (b *board) set(s State, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.reason = s, reason
}

func (b *board) reconnect(c Cause, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.reason = Waiting, reason
	b.reconnects[c]++
}

// resnapshot counts that the tables are begun to be read again.
func (b *board) resnapshot(r Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again[r]++
}

// wait says until when a snapshot has to wait; zero: it need not.
func (b *board) wait(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.putOff = until
}

// health is what a look at the catalogue found wrong, and whether the LMS is being
// upgraded. It answers whether it was.
func (b *board) health(found []Finding, sound Soundness, upgrade *SetupError) (before error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before = b.upgrade
	b.watched, b.described, b.upgrade, b.sound = problems(found), nil, nil, sound
	b.identity, b.unfit = problems(unidentified(found)), problems(identified(found))
	b.degraded = b.watched != nil && worst(found) == bearable
	if upgrade != nil {
		b.upgrade = upgrade
	}
	return before
}

// renumber begins to count with another offset. What is known of the end of the log was
// counted with the old one.
func (b *board) renumber(offset, at cdc.LSN) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offset != offset {
		b.offset = offset
		b.serverEnd.Store(uint64(at))
		b.newer = 0
	}
	raise(&b.applied, at)
	raise(&b.confirmed, at)
}

// raise moves a position forward, never back.
func raise(p *atomic.Uint64, to cdc.LSN) {
	for {
		at := p.Load()
		if at >= uint64(to) || p.CompareAndSwap(at, uint64(to)) {
			return
		}
	}
}

// finish says whether the sink has the database, whole.
func (b *board) finish(done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = done
}

// late is how long after its commit a transaction may come and we still call
// ourselves caught up.
const late = time.Second

// quiet says that the server has nothing more for us. A server that says nothing, but
// whose log reaches further, may be at work on something large.
func (b *board) quiet(now time.Time, silent bool) {
	if silent && b.applied.Load() < b.serverEnd.Load() {
		return
	}
	b.caughtUp.Store(true)
	b.fresh.Store(now.UnixNano())
}

// reaches says where the server's log ends. The caller holds mu.
func (b *board) reaches(end cdc.LSN, now time.Time) {
	raise(&b.serverEnd, end)
	if b.newer <= cdc.LSN(b.applied.Load()) {
		b.newer, b.newerSince = end, now
	}
}

// behind reports whether we have had the time to come to an end of the log that Watch
// saw, and have not: a keepalive comes when the server has read so far, also where nothing
// in between was for us. It needs mu.
func (b *board) behind(now time.Time) bool {
	return b.newer > cdc.LSN(b.applied.Load()) && now.Sub(b.newerSince) > late
}

// began says that the sink gets a transaction. Whether it is late is for the server's
// own clock to tell.
func (b *board) began(s *stream) {
	b.applying.Store(s.now.UnixNano())
	if s.data.ServerTime.Sub(s.tx.CommitTime) > late {
		b.caughtUp.Store(false)
	}
}

// ended says that the sink has it.
func (b *board) ended(s *stream) {
	raise(&b.applied, s.tx.End)
	b.transactions.Add(1)
	b.fresh.Store(s.tx.CommitTime.UnixNano())
	if s.data.ServerTime.Sub(s.tx.CommitTime) <= late {
		b.caughtUp.Store(true)
	}
}

// Status tells how things stand. It is cheap and may be asked from any goroutine.
func (r *Reader) Status() Status {
	b := r.board
	now := time.Now()
	s := Status{
		ServerEnd: cdc.LSN(b.serverEnd.Load()), Applied: cdc.LSN(b.applied.Load()), Confirmed: cdc.LSN(b.confirmed.Load()),
		Transactions: b.transactions.Load(), Loose: b.loose.Load(),
	}
	for _, c := range b.counters {
		s.Rows = append(s.Rows, TableRows{c.name, c.inserts.Load(), c.updates.Load(), c.deletes.Load(), c.truncates.Load()})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.State, s.Reason, s.Slot = b.state, b.reason, b.slot
	s.PutOff, s.Health, s.Upgrade = b.putOff, b.watched, b.upgrade
	s.Degraded, s.Sound = b.degraded, b.sound
	s.Identity, s.Unfit = b.identity, b.unfit
	if s.Health == nil {
		s.Health, s.Identity = b.described, b.described // which is of nothing else
	}
	s.Reconnects, s.Resnapshots = maps.Clone(b.reconnects), maps.Clone(b.again)
	s.Snapshot = b.progress(now)
	s.CaughtUp = b.state == Streaming && b.caughtUp.Load() && !b.behind(now)
	s.LagBytes = int64(s.ServerEnd) - int64(min(s.Applied, s.ServerEnd))
	s.Lag = b.lag(now, s.CaughtUp)
	return s
}

// lag is how long ago the newest thing happened that the sink has, unless it has all.
func (b *board) lag(now time.Time, caughtUp bool) time.Duration {
	var lag time.Duration
	if fresh := b.fresh.Load(); !caughtUp && fresh != 0 {
		lag = now.Sub(time.Unix(0, fresh))
	}
	if began := b.applying.Load(); began != 0 {
		lag = max(lag, now.Sub(time.Unix(0, began)))
	}
	return max(lag, 0)
}

// look is how far a snapshot is that belongs to no Reader.
func (b *board) look() Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.progress(time.Now())
}

// progress needs mu.
func (b *board) progress(now time.Time) Progress {
	p := Progress{Table: b.table, Rows: b.rows.Load(), Expected: b.expected.Load(), PerSecond: b.perSecond, Done: b.done}
	if began := b.snapshotBegan.Load(); b.table != "" && began != 0 {
		p.PerSecond = float64(p.Rows) / max(now.Sub(time.Unix(0, began)).Seconds(), 1e-3)
	}
	if left := p.Expected - p.Rows; p.Table != "" && left > 0 && p.Rows > 0 {
		p.Remaining = time.Duration(float64(left) / p.PerSecond * float64(time.Second))
	}
	switch {
	case p.Done && p.Table == "":
		p.Share = 1
	case p.Expected > 0:
		p.Share = min(float64(p.Rows)/float64(p.Expected), 0.999)
	}
	return p
}

// reading says which table of the snapshot is being read; "" ends it.
func (b *board) reading(table string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.perSecond = b.progress(time.Now()).PerSecond
	b.table = table
}
