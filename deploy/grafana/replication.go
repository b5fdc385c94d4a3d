package grafana

func replication() row {
	return row{"Replication", []panel{
		{
			title: "State", says: "What the reader of the log does: streaming is well, waiting is for a remedy or for time, and /readyz says for which.",
			kind: lines, unit: none, most: 1,
			queries: []query{{`max by (state) (schoolbell_replication_state)`, "{{state}}"}},
		}, {
			title: "Lag in time", says: "Time since the commit that was applied last, while the server has newer ones; 0 when caught up.", kind: lines, unit: seconds,
			queries: []query{{`schoolbell_replication_lag_seconds`, "{{instance}}"}},
		}, {
			title: "Lag in bytes", says: "Log that the server has written and schoolbell has not applied; part of it is of other tables and databases.", kind: lines, unit: bytesIEC,
			queries: []query{{`schoolbell_replication_lag_bytes`, "{{instance}}"}},
		}, {
			title: "Log held, by what for", says: "Log that PostgreSQL keeps for the slot: unconfirmed waits for schoolbell, open_transactions for a transaction that somebody keeps open.",
			kind: lines, unit: bytesIEC,
			queries: []query{{`sum by (reason) (schoolbell_slot_held_for_bytes)`, "{{reason}}"}, {`sum(schoolbell_slot_held_bytes)`, "in all"}},
		}, {
			title: "Log left", says: "Log that can still be written before PostgreSQL gives the slot up; without a line where max_slot_wal_keep_size sets no limit.",
			kind: lines, unit: bytesIEC,
			queries: []query{{`schoolbell_slot_safe_bytes`, "{{instance}}"}},
		}, {
			title: "Oldest transaction", says: "How long the oldest transaction has been open that the slot keeps log for. More than an hour is a report, a migration, or a forgotten COMMIT.",
			kind: lines, unit: seconds,
			queries: []query{{`schoolbell_slot_oldest_transaction_age_seconds`, "{{instance}}"}},
		}, {
			title: "Slot", says: "What PostgreSQL says of the slot: reserved and extended are well, unreserved is about to be lost; below, why it was given up.",
			kind: lines, unit: none, most: 1,
			queries: []query{{`max by (status) (schoolbell_slot_wal_status)`, "{{status}}"}, {`max by (reason) (schoolbell_slot_invalidated)`, "given up: {{reason}}"}},
		}, {
			title: "Publication and tables", says: "1 is well, but for a publication that is widened for an upgrade of the LMS. Without identities the LMS's own statements fail.",
			kind: lines, unit: none, most: 1,
			queries: []query{
				{`min(schoolbell_publication_ok)`, "publication sound"}, {`min(schoolbell_identity_ok)`, "identities sound"},
				{`max(schoolbell_replication_publication_widened)`, "publication widened"},
			},
		}, {
			title: "Transactions and rows", says: "What comes in from the log: transactions, and row changes by operation.", kind: lines, unit: perSecond,
			queries: []query{
				{`sum(rate(schoolbell_replication_transactions_total[$__rate_interval]))`, "transactions"},
				{`sum by (op) (rate(schoolbell_replication_rows_total[$__rate_interval]))`, "{{op}}"},
			},
		}, {
			title: "Rows by table", says: "Row changes by table. A table that changes much more than the others is a bulk job, or a column that the LMS touches at each request.",
			kind: lines, unit: perSecond,
			queries: []query{{`sum by (table) (rate(schoolbell_replication_rows_total[$__rate_interval]))`, "{{table}}"}},
		}, {
			title: "Rows that changed nothing", says: "Rows that a transaction saved as they were, as far as the profile reads them. ORMs do that; it costs little.", kind: lines, unit: perSecond,
			queries: []query{{`sum(rate(schoolbell_projection_unchanged_rows_total[$__rate_interval]))`, "unchanged"}},
		}, {
			title: "Time to apply", says: "Time to fold a transaction into the shadow and to commit it to the store. Large transactions take longer.", kind: lines, unit: seconds,
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(schoolbell_projection_apply_seconds_bucket[$__rate_interval])))`, "0.5"},
				{`histogram_quantile(0.99, sum by (le) (rate(schoolbell_projection_apply_seconds_bucket[$__rate_interval])))`, "0.99"},
			},
		}, {
			title: "Streams lost", says: "How often within an hour the stream was lost or could not be taken up, by the cause. server_gone and server_shutdown are PostgreSQL's.",
			kind: lines, unit: none,
			queries: []query{{`sum by (cause) (increase(schoolbell_replication_reconnects_total[1h]))`, "{{cause}}"}},
		}, {
			title: "Snapshots begun anew", says: "How often within an hour the tables were begun to be read again because the log did not continue, by the reason.", kind: lines, unit: none,
			queries: []query{{`sum by (reason) (schoolbell:resnapshots:increase1h)`, "{{reason}}"}},
		}, {
			title: "Snapshot", says: "How much of the snapshot is done; 1 when none runs.", kind: lines, unit: share, most: 1,
			queries: []query{{`schoolbell_snapshot_done_ratio`, "{{instance}}"}},
		}, {
			title: "Snapshot takes", says: "How long the snapshot that runs will still take, by its speed; and how long until one that is needed may begin, as there were too many.",
			kind: lines, unit: seconds,
			queries: []query{{`schoolbell_snapshot_remaining_seconds`, "remaining"}, {`schoolbell_resnapshot_wait_seconds`, "until it may begin"}},
		}, {
			title: "Snapshot's speed", says: "Rows a second that the snapshot reads.", kind: lines, unit: perSecond,
			queries: []query{{`schoolbell_snapshot_rows_per_second`, "{{instance}}"}},
		}, {
			title: "Spilled by PostgreSQL", says: "What PostgreSQL wrote to its disk to decode transactions that are larger than logical_decoding_work_mem.", kind: lines, unit: bytesRate,
			queries: []query{{`sum(rate(schoolbell_slot_spilled_bytes_total[$__rate_interval]))`, "spilled"}},
		},
	}}
}
