package replication

import (
	"cmp"
	"context"
	"log/slog"
	"regexp"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Sink receives the database: once whole, then every change. All four are called
// from Run's goroutine.
type Sink interface {
	// Reset takes the database, whole, in place of what it has. It must read all rows,
	// and what it took is durable when it returns nil. After an error it has what it
	// had before.
	Reset(ctx context.Context, snap *cdc.Snapshot) error
	// Apply takes one transaction. It must exhaust tx.Changes; tx is valid until it
	// returns. After nil the transaction is applied, but maybe not yet durable.
	// After an error nothing of it is, and it comes again.
	Apply(ctx context.Context, tx *cdc.Tx) error
	// Advance says that nothing of ours happened before at, where the server's clock
	// shows clock, and that nothing has arrived behind the transactions that were
	// applied: they need not wait for more any longer. It answers when by that clock
	// the sink wants to be called again although nothing happens; zero: never. It is
	// called often and has to be cheap; what goes wrong in it, the next Sync says.
	Advance(at cdc.LSN, clock time.Time) (wake time.Time)
	// Sync makes durable what was applied and the position of the last Advance, and
	// answers up to where everything is durable. What it answers is confirmed: after
	// a restart Run must be given a checkpoint no older than that. It is called beside
	// Apply and Advance, one at a time.
	Sync(ctx context.Context) (cdc.LSN, error)
}

// Config says what to follow. What is below Log is tuning and may be left zero.
type Config struct {
	URL         string // holds a password: never print it
	Slot        string
	Publication string
	Tables      []cdc.TableSpec
	Log         *slog.Logger

	// Remedy knows what to do about a column that a table lacks, given those that it
	// has: which one was probably meant, and what to write where. nil, or an empty fix:
	// it does not.
	Remedy func(schema, table, column string, have []string) (meant, fix string)
	// Suits is nil where the rows of a table can be read, and otherwise says what is wrong
	// with its columns, each with its remedy. It is asked before any row is read.
	Suits func(*cdc.Table) error

	// Role is who will follow, for InitSQL and Check run by somebody else. By default
	// the role in URL.
	Role string
	// Messages asks for what SQL announces with pg_logical_emit_message, from PostgreSQL
	// 14 on.
	Messages bool
	// Echo says whether a text under cdc.EchoPrefix is one of ours that we still wait for.
	// It is asked by Run's goroutine for every such text in the log and must be quick:
	// anybody may have written it. nil: none is, and none are asked for. From PostgreSQL
	// 14 on.
	Echo func(text []byte) bool
	// Interrupted says that the sink holds the beginning of a first snapshot: a slot of
	// our name is what an earlier first start left behind, and may be dropped.
	Interrupted bool
	// Claim is called before a slot is made; nil is nothing to do. It makes durable that
	// a snapshot was begun at that moment: after a kill the next Run is told so, by
	// Interrupted when the sink was empty, and by Begun.
	Claim func(began time.Time) error
	// Begun are the moments that Claim was given last.
	Begun []time.Time
	// Moved is called when the log goes on under another timeline of the server; nil is
	// nothing to do. It makes durable that the sink's positions are now of this source.
	Moved func(cdc.Source) error
	// Stale is why what the sink has must be compared with a snapshot although the log
	// continues, in one word; "": it need not.
	Stale string
	// Adopt allows to go on with another server or database than the one the sink's
	// positions are of. A slot of our name there is dropped.
	Adopt bool
	// SnapshotsPerHour is how many snapshots may be begun within an hour (3).
	SnapshotsPerHour int

	LockTimeout  time.Duration // longest wait for one transaction or lock at a first start (1 min)
	SyncEvery    time.Duration // at most this often under load (1 s)
	SyncIdle     time.Duration // when nothing arrives for so long, what was applied is made durable (20 ms)
	WatchSlot    time.Duration // how often Watch looks at the slot (15 s)
	WatchHealth  time.Duration // how often Watch looks at the publication and the tables (60 s)
	HeldBytes    int64         // so much log held for open transactions is worth a warning (256 MB)
	HeldFor      time.Duration // once the oldest of them has been open for so long (5 min)
	RetryAtFirst time.Duration // wait before the first new attempt (100 ms)
	RetryAtMost  time.Duration // longest wait between attempts (10 s)
}

func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.SnapshotsPerHour = cmp.Or(c.SnapshotsPerHour, 3)
	c.LockTimeout = cmp.Or(c.LockTimeout, time.Minute)
	c.SyncEvery = cmp.Or(c.SyncEvery, time.Second)
	c.SyncIdle = cmp.Or(c.SyncIdle, 20*time.Millisecond)
	c.WatchSlot = cmp.Or(c.WatchSlot, 15*time.Second)
	c.WatchHealth = cmp.Or(c.WatchHealth, time.Minute)
	c.HeldBytes = cmp.Or(c.HeldBytes, 256<<20)
	c.HeldFor = cmp.Or(c.HeldFor, 5*time.Minute)
	c.RetryAtFirst = cmp.Or(c.RetryAtFirst, 100*time.Millisecond)
	c.RetryAtMost = cmp.Or(c.RetryAtMost, 10*time.Second)
	return c
}

// LogValue leaves out the URL.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("slot", c.Slot), slog.String("publication", c.Publication))
}

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// validate finds what is wrong before any server is asked.
func (c Config) validate() *SetupError {
	switch {
	case !slotName.MatchString(c.Slot):
		return &SetupError{
			Setting: "slot name", Got: quoted(c.Slot), Want: "1 to 63 lower-case letters, digits and underscores",
			Fix: "choose another slot name in the configuration",
		}
	case c.Publication == "" || len(c.Publication) > 63:
		return &SetupError{
			Setting: "publication name", Got: quoted(c.Publication), Want: "1 to 63 bytes",
			Fix: "choose another publication name in the configuration",
		}
	case len(c.Tables) == 0:
		return noTables()
	}
	return nil
}

func noTables() *SetupError {
	return &SetupError{
		Setting: "list of tables", Got: "empty", Want: "at least one table",
		Fix: "use a profile that names the LMS's tables",
	}
}
