package metrics

// The values of every label, as their owners write them. Each list is one place,
// so that a word that is missing here shows as "other" and nowhere else.

func eventKinds() []string {
	return []string{"assignment", "submission", "grade", "assignment_closed"}
}

func rowOps() []string { return []string{"insert", "update", "delete", "truncate"} }

func roles() []string { return []string{"teacher", "tutor", "admin"} }

func replicationStates() []string {
	return []string{"connecting", "snapshot", "streaming", "waiting", "stopped"}
}

func reconnectReasons() []string {
	return []string{"connection", "server", "slot_in_use", "setup", "sink"}
}

// walStatuses are pg_replication_slots.wal_status.
func walStatuses() []string { return []string{"reserved", "extended", "unreserved", "lost"} }

func gapReasons() []string { return []string{"retention", "bulk", "history_lost"} }

func resumeOutcomes() []string { return []string{"resumed", "reset"} }

// outcomes are the refusals of protocol.md, and that there was none.
func outcomes() []string {
	return []string{
		"accepted", "bad_request", "unauthenticated", "role_not_allowed", "account_inactive",
		"origin_not_allowed", "too_many_connections", "not_ready",
	}
}

// closeReasons are those of protocol.md, and what a client or the network does.
func closeReasons() []string {
	return []string{
		"going_away", "protocol_violation", "credentials_revoked", "role_not_allowed",
		"heartbeat_timeout", "slow_consumer", "client_closed", "connection_lost",
	}
}

func sentTypes() []string {
	return append(eventKinds(), "welcome", "metrics", "ping", "pong", "gap", "disconnect")
}

func receivedTypes() []string { return []string{"ping", "pong"} }
