package grafana

func overview() row {
	return row{"Overview", []panel{
		{
			title: "Ready", says: "Whether live events are served; /readyz says why not.", kind: number, unit: none, words: yesNo(), bad: "0",
			queries: []query{{`min(schoolbell_ready)`, "ready"}},
		}, {
			title: "Stream", says: "Whether the stream from PostgreSQL is attached.", kind: number, unit: none, words: yesNo(), bad: "0",
			queries: []query{{`min(schoolbell_replication_connected)`, "stream"}},
		}, {
			title: "Problem", says: "Whether something is wrong with the slot, the publication or a table; schoolbell check says what mends it.",
			kind: number, unit: none, words: yesNo(), bad: "1",
			queries: []query{{`max(schoolbell_replication_problem)`, "problem"}},
		}, {
			title: "Lag", says: "How far behind PostgreSQL the dashboards are; from 30 s on /readyz fails.", kind: number, unit: seconds,
			queries: []query{{`max(schoolbell_replication_lag_seconds)`, "lag"}},
		}, {
			title: "Log held", says: "Log that PostgreSQL keeps on its disk for the slot. It has to stay far below the free room of that disk.",
			kind: number, unit: bytesIEC,
			queries: []query{{`max(schoolbell_slot_held_bytes)`, "held"}},
		}, {
			title: "Dashboards", says: "Sessions that are connected now.", kind: number, unit: none,
			queries: []query{{`sum(schoolbell_sessions)`, "sessions"}},
		}, {
			title: "Events an hour", says: "What was handed in, graded, created and closed within an hour, and custom messages.", kind: number, unit: none,
			queries: []query{{`sum(increase(schoolbell_events_total[1h]))`, "events"}},
		}, {
			title: "In time", says: "Share of the events of the last day that were written to a socket within a second of their commit; the objective is 99.9 %. Empty while nobody received any.",
			kind: number, unit: share,
			queries: []query{{`sum(increase(schoolbell_delivery_seconds_bucket{le=~"1|1\\.0"}[1d])) / sum(increase(schoolbell_delivery_seconds_count[1d]))`, "in time"}},
		}, {
			title: "Events", says: "Events found in the log, by kind. Events that come at once are a bulk job of the LMS.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (kind) (rate(schoolbell_events_total[$__rate_interval]))`, "{{kind}}"}},
		}, {
			title: "Commit to socket", says: "Time from an event's commit to its write to a socket: of half of them, and of nearly all. A few milliseconds are usual.",
			kind: lines, unit: seconds, queries: delays(),
		}, {
			title: "Version", says: "Which binary runs, and ran before.", kind: lines, unit: none,
			queries: []query{{`sum by (instance, version) (schoolbell_build_info)`, "{{instance}}, {{version}}"}},
		},
	}}
}

// delays are the quantiles of the time from commit to socket.
func delays() []query {
	var all []query
	for _, q := range []string{"0.5", "0.99", "0.999"} {
		all = append(all, query{
			`histogram_quantile(` + q + `, sum by (le) (rate(schoolbell_delivery_seconds_bucket[$__rate_interval])))`, q,
		})
	}
	return all
}
