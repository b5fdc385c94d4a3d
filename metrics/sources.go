package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are where the live state is read at every scrape. Each function must
// be cheap and safe from any goroutine, and must not ask the LMS's database.
type Sources struct {
	Ready       func() bool
	Replication func() Replication
	Slot        func() Slot
	Snapshot    func() Snapshot
	Projection  func() Projection
	Router      func() Router
	Store       func() Store
}

// Replication is the state of the stream. The maps count since the process began.
type Replication struct {
	Connected    bool
	State        string // one of replicationStates
	LagBytes     uint64
	Lag          time.Duration
	Transactions uint64
	Rows         map[TableOp]uint64
	Reconnects   map[string]uint64 // by reason
}

// TableOp names what Rows counts: a table as Info.Tables has it, and insert,
// update, delete or truncate.
type TableOp struct{ Table, Op string }

// Slot is the replication slot as PostgreSQL last described it.
type Slot struct {
	Active    bool
	HeldBytes uint64
	WALStatus string // reserved, extended, unreserved or lost; "" while unknown
	// SafeBytes is pg_replication_slots.safe_wal_size; Limited is false where it
	// is NULL, because max_slot_wal_keep_size is -1.
	SafeBytes int64
	Limited   bool
}

// Snapshot is the progress of the snapshot that is under way, or of the last one.
type Snapshot struct {
	Running       bool
	Rows          uint64
	Expected      uint64  // by PostgreSQL's estimate
	Done          float64 // 0 to 1
	RowsPerSecond float64
}

// Projection counts what rows turned out to mean, since the process began.
type Projection struct {
	Events    map[string]uint64 // by kind
	Unchanged uint64            // row changes that changed nothing
}

// Router counts what the router did, since the process began.
type Router struct {
	Subscriptions int               // now
	Drops         uint64            // subscriptions closed because their queue was full
	Gaps          map[string]uint64 // told to clients, by reason
	Resumes       map[string]uint64 // by outcome
}

// Store is the durable store: the shadow and the history.
type Store struct {
	Bytes  uint64 // on disk
	Events uint64 // in the history
	Oldest time.Time
}

func (m *Metrics) registerSources(info Info, s Sources) {
	m.registry.MustRegister(
		section[bool]{s.Ready, []scraped[bool]{
			gauge("ready", "Whether the gateway serves live events: snapshot done, stream attached, lag small.", truth),
		}},
		replicationSection(s.Replication, info.Tables),
		slotSection(s.Slot),
		snapshotSection(s.Snapshot),
		section[Projection]{s.Projection, []scraped[Projection]{
			countersBy("events_total", "Events found in the log.", "kind", eventKinds(),
				func(p Projection) map[string]uint64 { return p.Events }),
			counter("projection_unchanged_rows_total",
				"Row changes that changed nothing the profile reads: saves of what was there already.",
				func(p Projection) uint64 { return p.Unchanged }),
		}},
		section[Router]{s.Router, []scraped[Router]{
			gauge("router_subscriptions", "Subscriptions that the router serves now.",
				func(r Router) float64 { return float64(r.Subscriptions) }),
			counter("router_queue_drops_total", "Subscriptions closed because their queue was full; they resume by id.",
				func(r Router) uint64 { return r.Drops }),
			countersBy("router_gaps_total", "Gaps told to clients.", "reason", gapReasons(),
				func(r Router) map[string]uint64 { return r.Gaps }),
			countersBy("router_resumes_total",
				"Clients that came back with an id: resumed, or reset because the history did not reach back.",
				"outcome", resumeOutcomes(), func(r Router) map[string]uint64 { return r.Resumes }),
		}},
		storeSection(s.Store),
	)
}

func replicationSection(source func() Replication, tables []string) prometheus.Collector {
	type S = Replication
	return section[S]{source, []scraped[S]{
		gauge("replication_connected", "Whether the stream from PostgreSQL is attached.",
			func(r S) float64 { return truth(r.Connected) }),
		stateOf("replication_state", "What the reader of the log does now: 1 for that state, 0 for the others.",
			"state", replicationStates(), func(r S) string { return r.State }),
		gauge("replication_lag_bytes", "WAL that the server has written and we have not applied.",
			func(r S) float64 { return float64(r.LagBytes) }),
		gauge("replication_lag_seconds", "Age of the oldest commit that we have not applied; 0 when caught up.",
			func(r S) float64 { return r.Lag.Seconds() }),
		counter("replication_transactions_total", "Transactions read from the log.",
			func(r S) uint64 { return r.Transactions }),
		newScraped(prometheus.CounterValue, "replication_rows_total", "Row changes read from the log.",
			[]string{"table", "op"}, func(r S, emit func(float64, ...string)) { emitRows(r.Rows, tables, emit) }),
		countersBy("replication_reconnects_total", "Times the stream was lost and taken up again.",
			"reason", reconnectReasons(), func(r S) map[string]uint64 { return r.Reconnects }),
	}}
}

func emitRows(rows map[TableOp]uint64, tables []string, emit func(float64, ...string)) {
	allTables, allOps := withOther(tables), withOther(rowOps())
	sums := map[TableOp]uint64{}
	for at, n := range rows {
		sums[TableOp{known(allTables, at.Table), known(allOps, at.Op)}] += n
	}
	for _, table := range allTables {
		for _, op := range allOps {
			emit(float64(sums[TableOp{table, op}]), table, op)
		}
	}
}

func slotSection(source func() Slot) prometheus.Collector {
	return section[Slot]{source, []scraped[Slot]{
		gauge("slot_active", "Whether somebody reads the slot, as PostgreSQL sees it.",
			func(s Slot) float64 { return truth(s.Active) }),
		gauge("slot_held_bytes", "WAL that PostgreSQL keeps on its disk for the slot.",
			func(s Slot) float64 { return float64(s.HeldBytes) }),
		gauge("slot_safe_bytes",
			"WAL that can still be written before the slot is lost; +Inf where max_slot_wal_keep_size is -1.",
			func(s Slot) float64 {
				if !s.Limited {
					return math.Inf(1)
				}
				return float64(s.SafeBytes)
			}),
		stateOf("slot_wal_status", "PostgreSQL's wal_status of the slot: 1 for that status, 0 for the others.",
			"status", walStatuses(), func(s Slot) string { return s.WALStatus }),
	}}
}

func snapshotSection(source func() Snapshot) prometheus.Collector {
	return section[Snapshot]{source, []scraped[Snapshot]{
		gauge("snapshot_running", "Whether a snapshot is under way.",
			func(s Snapshot) float64 { return truth(s.Running) }),
		gauge("snapshot_rows", "Rows that the snapshot has read.",
			func(s Snapshot) float64 { return float64(s.Rows) }),
		gauge("snapshot_expected_rows", "Rows that the snapshot will read, by PostgreSQL's estimate.",
			func(s Snapshot) float64 { return float64(s.Expected) }),
		gauge("snapshot_done_ratio", "Share of the snapshot that is done, from 0 to 1.",
			func(s Snapshot) float64 { return s.Done }),
		gauge("snapshot_rows_per_second", "Speed of the snapshot.",
			func(s Snapshot) float64 { return s.RowsPerSecond }),
	}}
}

func storeSection(source func() Store) prometheus.Collector {
	return section[Store]{source, []scraped[Store]{
		gauge("store_size_bytes", "Disk that the shadow and the history take.",
			func(s Store) float64 { return float64(s.Bytes) }),
		gauge("history_events", "Events that a client can still resume from.",
			func(s Store) float64 { return float64(s.Events) }),
		gauge("history_oldest_age_seconds", "Age of the oldest event in the history; 0 when it is empty.",
			func(s Store) float64 {
				if s.Oldest.IsZero() {
					return 0
				}
				return max(0, time.Since(s.Oldest).Seconds())
			}),
	}}
}
