package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// Projection is the fold over one LMS's log. Use Open.
type Projection struct {
	cfg     Config
	store   *shadow.Store
	shadow  generation // of the shadow, in the store
	profile *profile.Profile
	derived []*profile.Derived // of the profile

	turn turn // guards everything up to mu

	bindings   map[uint32]*profile.Binding // by table oid; rebound when the *cdc.Table changes
	fold       fold                        // the transaction at hand, its maps reused
	checkpoint shadow.Checkpoint
	dirty      bool // checkpoint is ahead of the one in the store
	batch      *batch
	group      group
	publish    func(Result)
	told       cdc.Position // of the newest event
	complained time.Time    // of a message that could not be told
	failure    error        // of an Advance, for Sync to say
	stale      string       // why the shadow must be compared with a snapshot
	closing    time.Time    // when the next assignment closes by itself; zero: none does
	unsure     bool         // closing has to be found anew
	passing    moment       // when the next test changes by itself
	clock      time.Time    // the latest of the log's that was seen

	outbox outbox // has a lock of its own
	keys   keys   // the same

	// mu guards what follows. Whoever has the turn alone writes, and only to make a
	// stored transaction visible; they may read without the lock.
	mu            sync.RWMutex
	people        map[cdc.ID]person
	emails        emails // of people, if Config.Emails
	assignments   map[cdc.ID]heading
	assignmentsOf map[cdc.ID]map[cdc.ID]struct{} // by course
	muted         map[cdc.ID]bool                // courses of which nothing is told
	staff         map[cdc.ID]staff               // by course
	teams         map[cdc.ID]team                // what staff makes
	standings     map[cdc.ID]standing
	lookups       []*lookup
	counts        map[scope]cdc.Counts
	admins        map[cdc.ID]turns // of people who began or ceased to be one

	stats stats
}

// heading is what every event about an assignment needs to know of it.
type heading struct {
	teacher   cdc.ID // who owns it
	course    cdc.ID
	title     string
	published bool
	whole     bool      // its staff sees all of it, whatever their sections
	anonymous bool      // nobody is told whose work it is
	gone      bool      // counted nowhere
	closes    time.Time // by itself; zero: never, or it has
}

func (a assignment) heading() heading {
	h := heading{
		teacher: a.Teacher, course: a.Course, title: a.Title, published: a.Published,
		whole: !a.BySection, anonymous: a.Anonymous, gone: a.Gone,
	}
	if !a.expired {
		h.closes = a.Closes
	}
	return h
}

type stats struct {
	changes atomic.Uint64
	noops   atomic.Uint64
	events  [len(cdc.Kinds) + 1]atomic.Uint64 // by cdc.Kind
	heard   [len(Hearings)]atomic.Uint64      // by hearing
}

// Stats counts since the start of the process, but for People and Assignments, which are
// the rows that the shadow has of them now. Of all other rows only the store knows how many
// they are, and would have to read them.
type Stats struct {
	People, Assignments int

	Changes uint64              // row changes folded
	Noops   uint64              // rows touched by a transaction that left them as they were
	Events  map[cdc.Kind]uint64 // events given
	Heard   map[string]uint64   // messages of transactions, by Hearings
}

// Result is what one transaction meant, or of a large one a part.
type Result struct {
	Cursor cdc.Position // everything up to here has been applied; zero while there is More
	More   bool         // of the same transaction: the rest of its events follows
	Events []*cdc.Event
	// People are those whose role or activity the transaction changed, as they are
	// now; somebody who was deleted is no longer Active. Their sessions must follow
	// before the events are sent.
	People []cdc.Person
	// Echoes are what the gateway emitted itself. They are no events: nobody is told of
	// them, and they are not kept.
	Echoes [][]byte
}

// Config tunes a Projection; its zero value works.
type Config struct {
	// Rows is how many rows that a transaction touched are kept in memory before they
	// go aside (4,096, which takes about 3 MB). Of a snapshot three times as many are, but
	// 10,000 at most, before they are stored.
	Rows int
	Log  *slog.Logger // of messages that could not be told (nil: none)
	// Students: students hear of their own grades and of what is given to them. A shadow
	// that was filled without them is compared with a snapshot first.
	Students bool

	// Emails has ByEmail find people, which takes about 100 bytes of memory for each.
	Emails bool
}

// Open loads the projection that the store holds. What transactions meant will be
// given to publish, one after the other, in the goroutine that applies them.
func Open(store *shadow.Store, p *profile.Profile, publish func(Result), cfg Config) (*Projection, error) {
	cfg.Rows, cfg.Log = cmp.Or(cfg.Rows, 4<<10), cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	at, _ := store.Checkpoint()
	pr := newProjection(generation{store, at.Generation}, p, publish, cfg)
	pr.checkpoint, pr.told = at, store.Newest()
	pr.keys.store = store
	if err := pr.keys.load(); err != nil {
		return nil, err
	}
	if !at.Complete {
		return pr, nil
	}
	if at.Profile != pr.meaning() {
		pr.stale = "profile_changed"
	}
	// What a snapshot left that did not become true.
	if err := pr.shadow.next().remove(); err != nil {
		return nil, fmt.Errorf("remove the rest of a snapshot: %w", err)
	}
	if err := pr.load(); err != nil {
		return nil, fmt.Errorf("load the shadow: %w", err)
	}
	if err := pr.fold.recoverAside(); err != nil { // which asks for tutors
		return nil, fmt.Errorf("complete a large transaction: %w", err)
	}
	return pr, nil
}

func newProjection(g generation, p *profile.Profile, publish func(Result), cfg Config) *Projection {
	pr := &Projection{
		cfg: cfg, store: g.store, shadow: g, profile: p, derived: p.Derived(), publish: publish, turn: newTurn(),
		batch: g.NewBatch(), group: newGroup(), bindings: map[uint32]*profile.Binding{}, unsure: true,
	}
	pr.clear()
	pr.fold.init(pr)
	return pr
}

// Stale is why the shadow must be compared with a snapshot before the log can be
// followed, in one word; "": it need not.
func (p *Projection) Stale() string { return p.stale }

// Cursor is the position that everything that was told or applied lies at or before.
func (p *Projection) Cursor() cdc.Position {
	p.turn.wait()
	defer p.turn.end()
	return p.cursor()
}

func (p *Projection) cursor() cdc.Position {
	if at := (cdc.Position{LSN: p.checkpoint.Applied}); at.After(p.told) {
		return at
	}
	return p.told
}

// clear forgets everything in memory.
func (p *Projection) clear() {
	p.people = map[cdc.ID]person{}
	if p.emails = nil; p.cfg.Emails {
		p.emails = emails{}
	}
	p.assignments = map[cdc.ID]heading{}
	p.assignmentsOf = map[cdc.ID]map[cdc.ID]struct{}{}
	p.muted = map[cdc.ID]bool{}
	p.staff = map[cdc.ID]staff{}
	p.teams = map[cdc.ID]team{}
	p.standings = map[cdc.ID]standing{}
	p.counts = map[scope]cdc.Counts{}
	p.admins = map[cdc.ID]turns{}
	p.lookups = nil
}

// Checkpoint is how far the projection has come, whether or not that is durable.
func (p *Projection) Checkpoint() shadow.Checkpoint {
	p.turn.wait()
	defer p.turn.end()
	return p.checkpoint
}

// Apply folds one transaction. What it meant is given to publish when it is
// stored: at once, or together with the transactions that have already arrived
// behind it. After an error nothing of the transaction has happened, and it may be
// applied again.
func (p *Projection) Apply(ctx context.Context, tx *cdc.Tx) error {
	if err := p.turn.take(ctx); err != nil {
		return err
	}
	defer p.turn.end()
	if err := p.applyTx(tx); err != nil {
		return fmt.Errorf("transaction at %v: %w", tx.Commit, err)
	}
	return nil
}

func (p *Projection) applyTx(tx *cdc.Tx) error {
	w, err := p.foldTx(tx)
	if err != nil {
		return err
	}
	meant := Result{Cursor: cdc.Position{LSN: tx.End}, People: p.fold.changedRights(), Events: w.events, Echoes: tx.Echoes}
	told := p.told
	p.told = w.newest()
	if p.fold.large() {
		err = p.keepLarge(p.after(tx), meant, w)
	} else {
		err = p.keep(p.after(tx), meant, tx.More)
	}
	if err != nil {
		p.told = told
		return err
	}
	p.stats.changes.Add(p.fold.changes)
	p.stats.noops.Add(p.fold.noops)
	p.count(w)
	return nil
}

// count counts the events that were given.
func (p *Projection) count(w *eventWriter) {
	for kind, n := range w.kinds {
		addSome(&p.stats.events[kind], n)
	}
	for i, n := range w.heard {
		addSome(&p.stats.heard[i], n)
	}
}

// addSome leaves a counter alone that does not change, as most do not: counting is not for
// nothing.
func addSome(counter *atomic.Uint64, n uint64) {
	if n > 0 {
		counter.Add(n)
	}
}

// foldTx reads the transaction and settles what it means.
func (p *Projection) foldTx(tx *cdc.Tx) (*eventWriter, error) {
	if p.fold.large() { // the one before broke off
		if err := p.fold.clearAside(); err != nil {
			return nil, err
		}
	}
	if err := p.elapse(tx.CommitTime); err != nil {
		return nil, err
	}
	p.fold.reset()
	p.fold.time = tx.CommitTime
	if err := p.fold.read(tx); err != nil {
		return nil, err
	}
	w := p.fold.begin(tx.Commit)
	if err := p.fold.settle(w); err != nil {
		return nil, err
	}
	p.fold.noteAdmins(w.before())
	return w, w.hear(tx)
}

// after is the checkpoint behind the transaction.
func (p *Projection) after(tx *cdc.Tx) shadow.Checkpoint {
	at := p.checkpoint
	at.Applied = tx.End
	if p.fold.changes > 0 {
		at.Last = tx.Mark()
	}
	return at
}

// Advance notes that nothing of ours happened before at, stores the group, and closes
// what the clock of the log closes. It answers when that has to be looked at next. What
// goes wrong, the next Sync says.
func (p *Projection) Advance(at cdc.LSN, clock time.Time) (wake time.Time) {
	p.turn.wait()
	defer p.turn.end()
	p.failure = errors.Join(p.failure, p.flush())
	if at > p.checkpoint.Applied {
		p.checkpoint.Applied, p.dirty = at, true
	}
	if p.failure == nil {
		p.failure = p.elapse(clock)
	}
	return p.nextMoment()
}

// Sync makes everything that was applied durable and answers up to where.
func (p *Projection) Sync(ctx context.Context) (cdc.LSN, error) {
	if err := p.turn.take(ctx); err != nil {
		return 0, err
	}
	at, err := p.commitAll()
	p.turn.end() // a slow disk holds up nobody
	if err == nil {
		err = p.syncTo(at)
	}
	if err != nil {
		return 0, err
	}
	return at, nil
}

// sync is Sync for who has the turn.
func (p *Projection) sync() error {
	at, err := p.commitAll()
	if err != nil {
		return err
	}
	return p.syncTo(at)
}

func (p *Projection) syncTo(at cdc.LSN) error {
	if err := p.store.Sync(); err != nil {
		return fmt.Errorf("make position %v durable: %w", at, err)
	}
	return nil
}

// commitAll commits what was applied, and answers up to where that is.
func (p *Projection) commitAll() (cdc.LSN, error) {
	if err := p.failure; err != nil {
		p.failure = nil
		return 0, err
	}
	if err := p.flush(); err != nil {
		return 0, err
	}
	if p.dirty {
		if err := p.commit(p.newBatch(), p.checkpoint, nil); err != nil {
			return 0, err
		}
	}
	return p.checkpoint.Applied, nil
}

// Person answers who somebody is, as of the last applied transaction.
func (p *Projection) Person(id cdc.ID) (cdc.Person, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	person, ok := p.people[id]
	return person.Person, ok
}

// Counts answers the four counts within what the person may see, as of the last
// applied transaction. Students have some only where they may see anything.
func (p *Projection) Counts(person cdc.Person) cdc.Counts {
	if person.Role == cdc.NoRole {
		return cdc.Counts{}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.counts[p.scopeOf(person.Role, person.ID)]
}

// Stats answers the counters since the start of the process.
func (p *Projection) Stats() Stats {
	s := Stats{Changes: p.stats.changes.Load(), Noops: p.stats.noops.Load(), Events: map[cdc.Kind]uint64{}, Heard: map[string]uint64{}}
	for _, k := range cdc.Kinds {
		s.Events[k] = p.stats.events[k].Load()
	}
	for i, h := range Hearings {
		s.Heard[h] = p.stats.heard[i].Load()
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	s.People, s.Assignments = len(p.people), len(p.assignments)
	return s
}

// binding answers what a table's rows mean, resolved against its columns.
func (p *Projection) binding(t *cdc.Table) (*profile.Binding, error) {
	if b, ok := p.bindings[t.OID]; ok && b.Table == t {
		return b, nil
	}
	b, err := p.profile.Bind(t)
	if err != nil {
		return nil, err
	}
	p.bindings[t.OID] = b
	return b, nil
}
