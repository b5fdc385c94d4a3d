package replication

// Reason is why the log could not be followed on, so that the tables had to be read
// again.
type Reason string

const (
	SlotMissing     Reason = "slot_missing"     // dropped, or the server is a copy without it
	SlotInvalidated Reason = "slot_invalidated" // the server gave it up
	SlotAhead       Reason = "slot_ahead"       // somebody else read it, or what the sink has is an old copy
	ServerRestored  Reason = "server_restored"  // the log that we have read is not the server's any more
	OtherServer     Reason = "other_server"     // or another database; only where that was allowed
	TablesReplaced  Reason = "tables_replaced"  // the publication or a table was made anew, or was out of it
	TablesAltered   Reason = "tables_altered"   // what is read of a table is of another type now, or was not to be had for a while
	LogUnreadable   Reason = "log_unreadable"   // the server cannot decode it, or has lost it
	ProfileChanged  Reason = "profile_changed"  // the rows mean something else now
)

// Reasons are all of them.
var Reasons = [...]Reason{SlotMissing, SlotInvalidated, SlotAhead, ServerRestored, OtherServer, TablesReplaced, TablesAltered, LogUnreadable, ProfileChanged}

// loss is that the log does not continue where the sink stands.
type loss struct {
	reason Reason
	why    string // in words, with the server's own positions
}

// Error is what is said until the tables are being read.
func (l *loss) Error() string {
	return "the log does not continue where we stand, so the tables have to be read again: " + l.why
}

// stale is the loss that the sink itself knows of; nil when there is none.
func stale(word string) *loss {
	switch Reason(word) {
	case "":
		return nil
	case ProfileChanged:
		return &loss{ProfileChanged, "the profile has changed"}
	}
	return &loss{Reason(word), "what we have is to be compared (" + word + ")"}
}
