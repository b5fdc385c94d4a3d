package grafana

func delivery() row {
	return row{"Delivery", []panel{
		{
			title: "Commit to socket, all", says: "How many events took how long from their commit to a socket. A band that moves up is a machine at its limit; one apart is a stream that stood still.",
			kind: heat, unit: seconds,
			queries: []query{{`sum by (le) (rate(schoolbell_delivery_seconds_bucket[$__rate_interval]))`, "{{le}}"}},
		}, {
			title: "Later than a second", says: "Share of the events that were later than a second after their commit; 0.1 % may be, over a month.", kind: lines, unit: share,
			queries: []query{{`schoolbell:delivery_late:ratio5m`, "{{instance}}, 5 minutes"}, {`schoolbell:delivery_late:ratio1h`, "{{instance}}, an hour"}},
		}, {
			title: "Allowance burnt", says: "How many times faster than in a month the allowance of late events is spent. Somebody is woken from 14.4 in an hour on, or 6 in six hours.",
			kind: lines, unit: none,
			queries: []query{
				{`schoolbell:delivery_late:ratio1h / 0.001`, "{{instance}}, an hour"}, {`schoolbell:delivery_late:ratio6h / 0.001`, "{{instance}}, 6 hours"},
				{`schoolbell:delivery_late:ratio3d / 0.001`, "{{instance}}, 3 days"},
			},
		}, {
			title: "Self-check", says: "Time from a message that schoolbell writes into PostgreSQL's log until it comes back over a socket. Empty while self_check is off.",
			kind: lines, unit: seconds,
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(schoolbell_self_check_seconds_bucket[$__rate_interval])))`, "0.5"},
				{`histogram_quantile(0.99, sum by (le) (rate(schoolbell_self_check_seconds_bucket[$__rate_interval])))`, "0.99"},
			},
		}, {
			title: "Self-check passes", says: "Whether such a message comes back; /readyz says where it is lost. Empty while self_check is off.", kind: lines, unit: none, most: 1,
			queries: []query{{`schoolbell_self_check_ok`, "{{instance}}"}},
		}, {
			title: "Messages written", says: "Messages written to sockets, by type.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (type) (rate(schoolbell_messages_sent_total[$__rate_interval]))`, "{{type}}"}},
		}, {
			title: "Bytes written", says: "Bytes of the messages written to sockets, by type.", kind: lines, unit: bytesRate,
			queries: []query{{`sum by (type) (rate(schoolbell_messages_sent_bytes_total[$__rate_interval]))`, "{{type}}"}},
		}, {
			title: "Messages read", says: "Messages read from sockets, by type; other is anything that the protocol does not know.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (type) (rate(schoolbell_messages_received_total[$__rate_interval]))`, "{{type}}"}},
		}, {
			title: "Longest queue", says: "The longest queue of a subscription since the process began. At the setting queue the slowest are closed, and resume.", kind: lines, unit: none,
			queries: []query{{`schoolbell_router_queue_high_messages`, "{{instance}}"}},
		}, {
			title: "Queues that were full", says: "Subscriptions that were ended within 15 minutes because their queue was full; they resume by id.", kind: lines, unit: none,
			queries: []query{{`increase(schoolbell_router_queue_drops_total[15m])`, "{{instance}}"}},
		}, {
			title: "Gaps told", says: "What clients could not be given, within an hour, by the reason.", kind: lines, unit: none,
			queries: []query{{`sum by (reason) (increase(schoolbell_router_gaps_total[1h]))`, "{{reason}}"}},
		}, {
			title: "Resumes", says: "Clients that came back with an id: resumed, or reset because the history did not reach back.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (outcome) (rate(schoolbell_router_resumes_total[$__rate_interval]))`, "{{outcome}}"}},
		}, {
			title: "Catching up", says: "Subscriptions, and those of them that are catching up from the history.", kind: lines, unit: none,
			queries: []query{{`sum(schoolbell_router_subscriptions)`, "subscriptions"}, {`sum(schoolbell_router_replaying_subscriptions)`, "catching up"}},
		}, {
			title: "Read from the history", says: "Messages read from the history for clients that came back.", kind: lines, unit: perSecond,
			queries: []query{{`sum(rate(schoolbell_router_replayed_messages_total[$__rate_interval]))`, "messages"}},
		}, {
			title: "Custom messages by HTTP", says: "Requests to publish a custom message, by their outcome.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (outcome) (rate(schoolbell_publish_requests_total[$__rate_interval]))`, "{{outcome}}"}},
		}, {
			title: "Custom messages by SQL", says: "Messages that SQL published, by what became of them.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (outcome) (rate(schoolbell_sql_messages_total[$__rate_interval]))`, "{{outcome}}"}},
		},
	}}
}
