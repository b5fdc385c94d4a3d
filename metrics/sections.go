package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func (m *Metrics) registerSources(info Info, s Sources) {
	m.registry.MustRegister(
		section[bool]{s.Ready, []scraped[bool]{
			gauge("ready", "Whether the gateway serves live events: snapshot done, stream attached, lag small.", truth),
		}},
		replicationSection(s.Replication, info.Tables),
		slotSection(s.Slot),
		snapshotSection(s.Snapshot),
		projectionSection(s.Projection),
		routerSection(s.Router),
		storeSection(s.Store),
		listenerSection(s.Listener),
		signInSection(s.SignIn),
		selfCheckSection(s.SelfCheck),
	)
}

func replicationSection(source func() Replication, tables []string) prometheus.Collector {
	type S = Replication
	return section[S]{source, []scraped[S]{
		gauge("replication_connected", "Whether the stream from PostgreSQL is attached.",
			func(r S) float64 { return truth(r.State == streaming) }),
		stateOf("replication_state", "What the reader of the log does now: 1 for that state, 0 for the others.",
			"state", replicationStates(), func(r S) string { return r.State }),
		gauge("replication_caught_up", "Whether everything that the server had for us is applied.",
			func(r S) float64 { return truth(r.CaughtUp) }),
		gauge("replication_problem",
			"Whether something is wrong with the slot, the publication or a table; /readyz and the check command say what.",
			func(r S) float64 { return truth(r.Problem) }),
		gauge("replication_publication_widened",
			"Whether the publication is widened for an upgrade of the LMS; /readyz says since when, and schoolbell upgrade end ends it.",
			func(r S) float64 { return truth(r.Widened) }),
		gauge("publication_ok",
			"Whether the publication is there, has every table and column that the profile needs, and harms no statement of the LMS; 0 before the first look.",
			func(r S) float64 { return truth(r.Publication) }),
		gauge("identity_ok",
			"Whether every published table has a replica identity that serves, so that no UPDATE or DELETE of the LMS fails; 0 before the first look.",
			func(r S) float64 { return truth(r.Identity) }),
		gauge("replication_lag_bytes", "WAL that the server has written and we have not applied.",
			func(r S) int64 { return r.LagBytes }),
		gauge("replication_lag_seconds", "Time since the commit that was applied last, while the server has newer ones or cannot be asked; 0 when caught up.",
			func(r S) float64 { return r.Lag.Seconds() }),
		counter("replication_transactions_total", "Transactions read from the log.",
			func(r S) int64 { return r.Transactions }),
		newScraped(prometheus.CounterValue, "replication_rows_total", "Row changes read from the log.",
			[]string{"table", "op"}, func(r S, emit func(float64, ...string)) { emitRows(r.Rows, tables, emit) }),
		countersBy("replication_reconnects_total", "Times the stream was lost, or could not be taken up, by the cause.",
			"cause", reconnectCauses(), func(r S) map[string]int64 { return r.Reconnects }),
		countersBy("resnapshots_total", "Times the tables were begun to be read again because the log did not continue, by the reason.",
			"reason", resnapshotReasons(), func(r S) map[string]int64 { return r.Resnapshots }),
		gauge("resnapshot_wait_seconds", "Time until a snapshot that is needed may be begun, as there were too many; 0 when none is waited for.",
			func(r S) float64 {
				if r.PutOff.IsZero() {
					return 0
				}
				return max(0, time.Until(r.PutOff).Seconds())
			}),
	}}
}

func emitRows(rows []TableRows, tables []string, emit func(float64, ...string)) {
	all := withOther(tables)
	sums := map[string]TableRows{}
	for _, r := range rows {
		at := known(all, r.Table)
		sum := sums[at]
		sum.Inserts += r.Inserts
		sum.Updates += r.Updates
		sum.Deletes += r.Deletes
		sum.Truncates += r.Truncates
		sums[at] = sum
	}
	for _, table := range all {
		sum := sums[table]
		emit(float64(sum.Inserts), table, "insert")
		emit(float64(sum.Updates), table, "update")
		emit(float64(sum.Deletes), table, "delete")
		emit(float64(sum.Truncates), table, "truncate")
	}
}

func slotSection(source func() Slot) prometheus.Collector {
	type S = Slot
	return section[S]{source, []scraped[S]{
		gauge("slot_active", "Whether somebody reads the slot, as PostgreSQL sees it.",
			func(s S) float64 { return truth(s.Active) }),
		gauge("slot_held_bytes", "WAL that PostgreSQL keeps on its disk for the slot.",
			func(s S) int64 { return s.HeldBytes }),
		newScraped(prometheus.GaugeValue, "slot_held_for_bytes",
			"WAL that PostgreSQL keeps for the slot, by the reason: schoolbell has not confirmed it yet, or transactions began before it that are still open.",
			[]string{"reason"}, func(s S, emit func(float64, ...string)) {
				emit(float64(s.ForUs), "unconfirmed")
				emit(float64(s.ForOpen), "open_transactions")
			}),
		gauge("slot_oldest_transaction_age_seconds",
			"Age of the oldest open transaction of the server that has written something, which the slot keeps WAL for; 0 when there is none. "+
				"Without pg_monitor our role does not see when others began: then it is how long we have seen that one.",
			func(s S) float64 { return s.OldestOpen.Seconds() }),
		gauge("slot_safe_bytes",
			"WAL that can still be written before the slot is lost; +Inf where max_slot_wal_keep_size is -1.",
			func(s S) float64 {
				if !s.Limited {
					return math.Inf(1)
				}
				return float64(s.SafeBytes)
			}),
		stateOf("slot_wal_status", "PostgreSQL's wal_status of the slot: 1 for that status, 0 for the others.",
			"status", walStatuses(), func(s S) string { return s.WALStatus }),
		stateOf("slot_invalidated", "Why PostgreSQL has given the slot up: 1 for that reason, 0 for the others; all 0 while the slot is fine.",
			"reason", invalidations(), func(s S) string { return s.Invalidated }),
		counter("slot_spilled_transactions_total",
			"Transactions that PostgreSQL wrote to its disk while it decoded them for the slot, being larger than logical_decoding_work_mem; 0 before PostgreSQL 14.",
			func(s S) int64 { return s.SpilledTransactions }),
		counter("slot_spilled_bytes_total",
			"Bytes of transactions that PostgreSQL wrote to its disk while it decoded them for the slot; 0 before PostgreSQL 14.",
			func(s S) int64 { return s.SpilledBytes }),
	}}
}

func snapshotSection(source func() Snapshot) prometheus.Collector {
	type S = Snapshot
	return section[S]{source, []scraped[S]{
		gauge("snapshot_done", "Whether a snapshot is complete and durable.",
			func(s S) float64 { return truth(s.Done) }),
		gauge("snapshot_rows", "Rows that the snapshot has read.", func(s S) int64 { return s.Rows }),
		gauge("snapshot_expected_rows", "Rows that the snapshot will read, by PostgreSQL's estimate.",
			func(s S) int64 { return s.Expected }),
		gauge("snapshot_done_ratio", "Share of the snapshot that is done, from 0 to 1.",
			func(s S) float64 { return s.Share }),
		gauge("snapshot_rows_per_second", "Speed of the snapshot.", func(s S) float64 { return s.PerSecond }),
		gauge("snapshot_remaining_seconds", "Time that the snapshot still takes, by its speed and PostgreSQL's estimate of the rows; 0 when none runs.",
			func(s S) float64 { return s.Remaining.Seconds() }),
	}}
}

func projectionSection(source func() Projection) prometheus.Collector {
	type S = Projection
	return section[S]{source, []scraped[S]{
		countersBy("events_total", "Events found in the log, and custom messages.", "kind", eventKinds(),
			func(p S) map[string]uint64 { return p.Events }),
		countersBy("sql_messages_total", "Messages that SQL published with pg_logical_emit_message, by what became of them: published, or why not.",
			"outcome", sqlMessageOutcomes(), func(p S) map[string]uint64 { return p.Messages }),
		counter("projection_unchanged_rows_total",
			"Rows that a transaction saved as they were, as far as the profile reads them.",
			func(p S) uint64 { return p.Unchanged }),
		newScraped(prometheus.GaugeValue, "shadow_rows", "Rows that the shadow has of people and of assignments, whether they count or not; the others are not counted.",
			[]string{"kind"}, func(p S, emit func(float64, ...string)) {
				emit(float64(p.People), "people")
				emit(float64(p.Assignments), "assignments")
			}),
	}}
}

func routerSection(source func() Router) prometheus.Collector {
	type S = Router
	return section[S]{source, []scraped[S]{
		gauge("router_subscriptions", "Subscriptions that the router serves now.",
			func(r S) int { return r.Subscriptions }),
		gauge("router_replaying_subscriptions", "Subscriptions that are catching up from the history now.",
			func(r S) int { return r.Replaying }),
		counter("router_replayed_messages_total", "Messages read from the history for clients that came back.",
			func(r S) uint64 { return r.Replayed }),
		counter("router_queue_drops_total", "Subscriptions ended because their queue was full; they resume by id.",
			func(r S) uint64 { return r.Drops }),
		gauge("router_queue_high_messages", "The longest queue of a subscription since the process began.",
			func(r S) int { return r.QueueHigh }),
		counter("router_revoked_total", "Subscriptions ended because the person lost a right.",
			func(r S) uint64 { return r.Revoked }),
		countersBy("router_gaps_total", "Gaps told to clients.", "reason", gapReasons(),
			func(r S) map[string]uint64 { return r.Gaps }),
		newScraped(prometheus.CounterValue, "router_resumes_total",
			"Clients that came back with an id: resumed, or reset because the history did not reach back.",
			[]string{"outcome"}, func(r S, emit func(float64, ...string)) {
				emit(float64(r.Resumed), "resumed")
				emit(float64(r.Reset), "reset")
			}),
	}}
}

func storeSection(source func() Store) prometheus.Collector {
	type S = Store
	return section[S]{source, []scraped[S]{
		gauge("store_size_bytes", "Disk that the shadow and the history take.", func(s S) int64 { return s.Bytes }),
		gauge("data_free_bytes",
			"Room on the file system of the data directory that an ordinary user may take; NaN where the system does not say.",
			func(s S) float64 {
				if s.Free < 0 {
					return math.NaN()
				}
				return float64(s.Free)
			}),
		gauge("history_events", "Events in the history.", func(s S) int64 { return s.Events }),
		gauge("history_oldest_age_seconds", "Age of the oldest event in the history; 0 when it is empty.",
			func(s S) float64 {
				if s.Oldest.IsZero() {
					return 0
				}
				return max(0, time.Since(s.Oldest).Seconds())
			}),
	}}
}

func listenerSection(source func() Listener) prometheus.Collector {
	type S = Listener
	return section[S]{source, []scraped[S]{
		countersBy("limited_total", "Connections and requests refused for a limit, by which: of dashboards in all, of a person, of an address; "+
			"of connections of an address that are no dashboards; of how often an address or a credential may ask; of how often a bad credential may.",
			"limit", limits(), func(l S) map[string]uint64 { return l.Limited }),
		counter("gathered_sign_ins_total", "Credentials looked up together with others because of many bad ones.",
			func(l S) uint64 { return l.Gathered }),
		gauge("tls_certificate_expiry_timestamp_seconds", "When the listener's certificate expires, as seconds since 1970; 0 when it has none.",
			func(l S) float64 {
				if l.Expires.IsZero() {
					return 0
				}
				return float64(l.Expires.Unix())
			}),
	}}
}

func signInSection(source func() SignIn) prometheus.Collector {
	type S = SignIn
	return section[S]{source, []scraped[S]{
		countersBy("auth_queries_total",
			"Queries to the LMS's database for authentication, by what for: somebody signs in, many are asked about together, sessions are asked about again, or whether people could sign in.",
			"kind", queryKinds(), func(s S) map[string]uint64 { return s.Queries }),
		newScraped(prometheus.CounterValue, "auth_cache_total",
			"Credentials that are shown to the LMS, by whether its answer was still remembered: hit, or miss.",
			[]string{"result"}, func(s S, emit func(float64, ...string)) {
				emit(float64(s.Known), "hit")
				emit(float64(s.Unknown), "miss")
			}),
	}}
}

func selfCheckSection(source func() SelfCheck) prometheus.Collector {
	type S = SelfCheck
	return section[S]{source, []scraped[S]{
		newScraped(prometheus.GaugeValue, "self_check_ok",
			"Whether what we write into PostgreSQL's log comes back over a WebSocket; absent while self_check is off.",
			nil, func(s S, emit func(float64, ...string)) {
				if !s.Off {
					emit(truth(s.OK))
				}
			}),
	}}
}
