package metrics

// The values of every label, as their owners write them. A word that is missing
// here shows as "other"; a test of cmd/schoolbell compares the lists with their
// owners'.

func eventKinds() []string {
	return []string{"assignment", "submission", "grade", "assignment_closed", "custom"}
}

func roles() []string { return []string{"teacher", "tutor", "admin", "student"} }

// streaming is the state in which the stream is attached.
const streaming = "streaming"

func replicationStates() []string {
	return []string{"idle", "connecting", "making slot", "snapshotting", streaming, "waiting"}
}

func reconnectCauses() []string {
	return []string{"server_gone", "server_shutdown", "terminated", "slot_in_use", "setup", "protocol", "sink", "log_lost"}
}

// resnapshotReasons are why the log could not be followed on.
func resnapshotReasons() []string {
	return []string{
		"slot_missing", "slot_invalidated", "slot_ahead", "server_restored", "other_server",
		"tables_replaced", "tables_altered", "log_unreadable", "profile_changed",
	}
}

// walStatuses are pg_replication_slots.wal_status.
func walStatuses() []string { return []string{"reserved", "extended", "unreserved", "lost"} }

// invalidations are pg_replication_slots.invalidation_reason.
func invalidations() []string {
	return []string{"wal_removed", "rows_removed", "wal_level_insufficient", "idle_timeout"}
}

func gapReasons() []string { return []string{"retention", "bulk", "history_lost"} }

// outcomes are the refusals of protocol.md, and that there was none.
func outcomes() []string {
	return []string{
		"accepted", "bad_request", "unauthenticated", "role_not_allowed", "account_inactive",
		"origin_not_allowed", "too_many_connections", "not_ready",
	}
}

// limits are those that somebody can be refused for.
func limits() []string {
	return []string{"total", "person", "address", "connections", "address_rate", "credential_rate", "bad_credential"}
}

// closeReasons are those of protocol.md, and what a client or the network does.
func closeReasons() []string {
	return []string{
		"going_away", "protocol_violation", "credentials_revoked", "role_not_allowed",
		"heartbeat_timeout", "slow_consumer", "internal_error", "client_closed", "connection_lost",
	}
}

// transports are how a session is connected.
func transports() []string { return []string{"websocket", "sse"} }

// ways are the words of auth.Identity.Way.
func ways() []string { return []string{"token", "session", "jwt", "proxy", "introspection"} }

// attemptWays are ways, and that no credential of any came.
func attemptWays() []string { return append(ways(), "none") }

// attemptOutcomes are how somebody's saying who they are ends.
func attemptOutcomes() []string { return []string{"accepted", "refused", "unavailable", "abandoned"} }

// queryKinds are what the LMS's database is asked for by those who authenticate.
func queryKinds() []string { return []string{"sign_in", "gathered", "recheck", "check"} }

// levels are those of log/slog.
func levels() []string { return []string{"debug", "info", "warn", "error"} }

func sentTypes() []string {
	return append(eventKinds(), "welcome", "metrics", "ping", "pong", "auth", "subscribed", "error", "gap", "disconnect")
}

func receivedTypes() []string { return []string{"ping", "pong", "auth", "subscribe"} }

// sqlMessageOutcomes are what becomes of a message that SQL publishes.
func sqlMessageOutcomes() []string {
	return []string{"published", "malformed", "too_large", "too_many", "unknown_user", "not_transactional"}
}

// publishOutcomes are how a request to publish ends.
func publishOutcomes() []string {
	return []string{
		"published", "repeated", "bad_request", "unauthenticated", "not_found", "unknown_user", "method_not_allowed",
		"unsupported_media_type", "too_large", "idempotency_key_reused", "too_many_requests", "too_many_connections", "not_ready",
	}
}
