package projection

import "github.com/schoolbell/schoolbell/cdc"

// ApplyUntilTrue leaves a large transaction as a crash does that comes when it has
// become true and nothing has been moved yet.
func (p *Projection) ApplyUntilTrue(tx *cdc.Tx) error {
	if _, err := p.foldTx(tx); err != nil {
		return err
	}
	return p.makeTrue(p.after(tx))
}

// ApplyUntilSettled leaves it as one does that comes right before.
func (p *Projection) ApplyUntilSettled(tx *cdc.Tx) error {
	_, err := p.foldTx(tx)
	return err
}

// RowsInMemory is how many touched rows are not aside.
func (p *Projection) RowsInMemory() int { return len(p.fold.threads.rows) + len(p.fold.given.rows) }

// KeepKeys makes so many keys as many as may be remembered.
func (p *Projection) KeepKeys(n int64) { p.keys.n.Add(mostKeys - n) }

// HoldTurn keeps everybody else waiting until it is released.
func (p *Projection) HoldTurn() (release func()) {
	p.turn.wait()
	return p.turn.end
}

// InMemory is how many things of each kind are kept there between transactions.
func (p *Projection) InMemory() map[string]int {
	n := map[string]int{
		"people": len(p.people), "e-mails": len(p.emails), "assignments": len(p.assignments), "muted": len(p.muted), "staff": len(p.staff),
		"teams": len(p.teams), "standings": len(p.standings), "counts": len(p.counts), "admins": len(p.admins),
		"touched": len(p.fold.actives.deltas) + len(p.fold.reaches) + len(p.fold.linked), "group": len(p.group.values),
	}
	for _, l := range p.lookups {
		n["lookups"] += len(l.rows)
	}
	return n
}
