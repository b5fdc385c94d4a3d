package metrics

import "time"

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
	Listener    func() Listener
	SignIn      func() SignIn
	SelfCheck   func() SelfCheck
}

// Replication is the state of the stream. What is counted is counted since the
// process began.
type Replication struct {
	State        string // one of replicationStates
	CaughtUp     bool
	Problem      bool // something is wrong with the slot, the publication or a table
	Publication  bool // it was looked at, and has what the profile needs
	Identity     bool // it was looked at, and no statement of the LMS fails for it
	Widened      bool // the publication is, for an upgrade of the LMS
	LagBytes     int64
	Lag          time.Duration
	Transactions int64
	Rows         []TableRows
	Reconnects   map[string]int64 // by cause
	Resnapshots  map[string]int64 // by reason
	PutOff       time.Time        // until when a snapshot that is needed has to wait; zero: none has to
}

// TableRows counts the row changes of one table, named as in Info.Tables.
type TableRows struct {
	Table                                string
	Inserts, Updates, Deletes, Truncates int64
}

// Slot is the replication slot as PostgreSQL last described it.
type Slot struct {
	Active    bool // somebody reads it
	HeldBytes int64
	WALStatus string // reserved, extended, unreserved or lost; "" while unknown
	// Invalidated is why it is of no more use, as one of invalidations; "" while it is.
	Invalidated string
	// SpilledTransactions and SpilledBytes are what the decoding of the slot wrote to the
	// server's disk, since the slot was made; 0 before PostgreSQL 14, which does not say.
	SpilledTransactions, SpilledBytes int64
	// ForUs and ForOpen are what it holds because we have not confirmed it yet, and for
	// transactions that are open; OldestOpen is how long the oldest of those has been.
	ForUs, ForOpen int64
	OldestOpen     time.Duration
	// SafeBytes is pg_replication_slots.safe_wal_size; Limited is false while it is
	// unknown, and where it is NULL because max_slot_wal_keep_size is -1.
	SafeBytes int64
	Limited   bool
}

// Snapshot is the progress of the snapshot that is under way, or of the last one.
type Snapshot struct {
	Rows      int64
	Expected  int64 // by PostgreSQL's estimate
	PerSecond float64
	Share     float64       // 0 to 1
	Remaining time.Duration // of the one that is under way, as far as its speed tells
	Done      bool          // and durable
}

// Projection counts what rows turned out to mean, since the process began, and what the
// shadow has.
type Projection struct {
	Events    map[string]uint64 // by kind
	Unchanged uint64            // rows saved as they were
	// People and Assignments are the rows that the shadow has of them now.
	People, Assignments int
	Messages            map[string]uint64 // that SQL published, by what became of them
}

// Router counts what the router did, since the process began.
type Router struct {
	Subscriptions int               // now
	Replaying     int               // of them, those that are catching up
	Replayed      uint64            // messages read from the history
	Drops         uint64            // subscriptions ended because their queue was full
	Revoked       uint64            // subscriptions ended because a right was taken
	Gaps          map[string]uint64 // told to clients, by reason
	Resumed       uint64            // clients that came back and got what they missed
	Reset         uint64            // clients that came back with an id that does not reach
	QueueHigh     int               // the longest queue there has been
}

// Store is the durable store: the shadow and the history.
type Store struct {
	Bytes  int64     // on disk
	Free   int64     // that an ordinary user may still write to the file system of it; -1: unknown
	Events int64     // in the history
	Oldest time.Time // event in the history; zero: there is none
}

// Listener is where dashboards connect. What is counted is counted since the process
// began.
type Listener struct {
	Limited  map[string]uint64 // refused for a limit, by which
	Gathered uint64            // credentials that were looked up together with others
	Expires  time.Time         // when the certificate does; zero: there is none
}

// SignIn is what saying who somebody is costs others. What is counted is counted since
// the process began.
type SignIn struct {
	Queries        map[string]uint64 // to the LMS's database, by what for
	Known, Unknown uint64            // credentials of which the LMS's answer was remembered, and was not
}

// SelfCheck is how the gateway's self-check stands.
type SelfCheck struct {
	Off bool // then the page has no gauge, and no alert can mistake it for a failure
	OK  bool
}
