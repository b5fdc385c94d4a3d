package grafana

func sessions() row {
	return row{"Sessions", []panel{
		{
			title: "Dashboards by role", says: "Dashboards that are connected now, by the person's role.", kind: lines, unit: none,
			queries: []query{{`sum by (role) (schoolbell_sessions)`, "{{role}}"}},
		}, {
			title: "Dashboards by transport", says: "WebSockets, or Server-Sent Events where a network breaks WebSockets.", kind: lines, unit: none,
			queries: []query{{`sum by (transport) (schoolbell_sessions_by_transport)`, "{{transport}}"}},
		}, {
			title: "Dashboards by way", says: "By the way in which the person said who they are.", kind: lines, unit: none,
			queries: []query{{`sum by (way) (schoolbell_sessions_by_way)`, "{{way}}"}},
		}, {
			title: "Handshakes", says: "Requests for a dashboard's connection: accepted, or the code of the refusal.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (outcome) (rate(schoolbell_handshakes_total[$__rate_interval]))`, "{{outcome}}"}},
		}, {
			title: "Sessions that ended", says: "By the reason. connection_lost and heartbeat_timeout are the network, slow_consumer a client that does not read, going_away a restart of schoolbell.",
			kind: lines, unit: perSecond,
			queries: []query{{`sum by (reason) (rate(schoolbell_sessions_closed_total[$__rate_interval]))`, "{{reason}}"}},
		}, {
			title: "Refused for a limit", says: "Connections and requests that were refused, by the limit that was met.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (limit) (rate(schoolbell_limited_total[$__rate_interval]))`, "{{limit}}"}},
		}, {
			title: "Attempts to sign in", says: "By how they ended. unavailable is an LMS that could not be asked; many that are refused are a guesser, or a secret of the LMS that has changed.",
			kind: lines, unit: perSecond,
			queries: []query{{`sum by (outcome) (rate(schoolbell_auth_attempts_total[$__rate_interval]))`, "{{outcome}}"}},
		}, {
			title: "Attempts that were refused, by way", says: "If all ways are met it is a guesser; if one is, look at its secret or table.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (way) (rate(schoolbell_auth_attempts_total{outcome="refused"}[$__rate_interval]))`, "{{way}}"}},
		}, {
			title: "Questions to the LMS's database", says: "Queries for authentication, by what for. They stay few however many bad credentials come.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (kind) (rate(schoolbell_auth_queries_total[$__rate_interval]))`, "{{kind}}"}},
		}, {
			title: "Answers remembered", says: "Credentials that are shown to the LMS itself, by whether its answer was still remembered.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (result) (rate(schoolbell_auth_cache_total[$__rate_interval]))`, "{{result}}"}},
		}, {
			title: "Rights that ended", says: "Sessions that ended because the credential was taken back or had expired, and subscriptions that ended because the person lost a right.",
			kind: lines, unit: perSecond,
			queries: []query{
				{`sum by (way) (rate(schoolbell_credentials_revoked_total[$__rate_interval]))`, "{{way}}"},
				{`sum(rate(schoolbell_router_revoked_total[$__rate_interval]))`, "right lost"},
			},
		}, {
			title: "Sessions that began", says: "By the way in which the person said who they are.", kind: lines, unit: perSecond,
			queries: []query{{`sum by (way) (rate(schoolbell_sign_ins_total[$__rate_interval]))`, "{{way}}"}},
		},
	}}
}
