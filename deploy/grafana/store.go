package grafana

func store() row {
	return row{"Store and process", []panel{
		{
			title: "Disk", says: "What the shadow and the history take, and the room that the data directory's disk has left.", kind: lines, unit: bytesIEC,
			queries: []query{{`schoolbell_store_size_bytes`, "{{instance}}, taken"}, {`schoolbell_data_free_bytes`, "{{instance}}, free"}},
		}, {
			title: "Rows remembered", says: "People and assignments that the shadow has, whether they count or not. A step down is a clean-up in the LMS.",
			kind: lines, unit: none,
			queries: []query{{`sum by (kind) (schoolbell_shadow_rows)`, "{{kind}}"}},
		}, {
			title: "Events kept", says: "Events in the history, from which clients resume.", kind: lines, unit: none,
			queries: []query{{`schoolbell_history_events`, "{{instance}}"}},
		}, {
			title: "History reaches back", says: "Age of the oldest event that is kept; bounded by history_age and history_size.", kind: lines, unit: seconds,
			queries: []query{{`schoolbell_history_oldest_age_seconds`, "{{instance}}"}},
		}, {
			title: "Time of an fsync", says: "PostgreSQL is told of a transaction only after it. More than some tens of milliseconds are a disk at its limit.", kind: lines, unit: seconds,
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(schoolbell_store_sync_seconds_bucket[$__rate_interval])))`, "0.5"},
				{`histogram_quantile(0.99, sum by (le) (rate(schoolbell_store_sync_seconds_bucket[$__rate_interval])))`, "0.99"},
			},
		}, {
			title: "Size of a batch", says: "How much the store takes at once: of half of the batches, and of nearly all.", kind: lines, unit: bytesIEC,
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(schoolbell_store_batch_bytes_bucket[$__rate_interval])))`, "0.5"},
				{`histogram_quantile(0.99, sum by (le) (rate(schoolbell_store_batch_bytes_bucket[$__rate_interval])))`, "0.99"},
			},
		}, {
			title: "Lines logged", says: "By level. An error or a warning is worth a look at the log.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (level) (rate(schoolbell_log_messages_total[$__rate_interval]))`, "{{level}}"}},
		}, {
			title: "Processor", says: "Processors that schoolbell keeps busy; 1 is one of them.", kind: lines, unit: none,
			queries: []query{{`rate(process_cpu_seconds_total[$__rate_interval])`, "{{instance}}"}},
		}, {
			title: "Memory", says: "Resident memory, and of it the heap of Go.", kind: lines, unit: bytesIEC,
			queries: []query{{`process_resident_memory_bytes`, "{{instance}}, resident"}, {`go_memstats_heap_inuse_bytes`, "{{instance}}, heap"}},
		}, {
			title: "Goroutines", says: "They grow with the sessions, and fall with them.", kind: lines, unit: none,
			queries: []query{{`go_goroutines`, "{{instance}}"}},
		}, {
			title: "File descriptors", says: "Share of the descriptors that the process may have; one for each dashboard.", kind: lines, unit: share, most: 1,
			queries: []query{{`process_open_fds / process_max_fds`, "{{instance}}"}},
		}, {
			title: "Running for", says: "Time since the process began.", kind: number, unit: seconds, width: 4,
			queries: []query{{`min(time() - process_start_time_seconds)`, "running"}},
		}, {
			title: "Certificate", says: "When the listener's certificate expires; 1970 where it has none.", kind: number, unit: date, width: 4,
			queries: []query{{`min(schoolbell_tls_certificate_expiry_timestamp_seconds) * 1000`, "expires"}},
		},
	}}
}
