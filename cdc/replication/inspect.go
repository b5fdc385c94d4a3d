package replication

import (
	"context"
	"fmt"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// inspect refuses what could break the LMS or would not tell us everything, and sees
// whether the tables are those that the sink has.
//
// Once we have followed the log, staying away would only make it grow: then most of what
// is wrong is a matter of health. But the log is not followed where it does not tell what
// it should, and no snapshot is taken of what is wrong.
func (r *Reader) inspect(ctx context.Context, c *conn, now cdc.Source, slot *slot, lost *loss) (*loss, error) {
	found, err := checkServer(ctx, c, r.cfg)
	if err != nil {
		return nil, err
	}
	_, more, sound, err := checkTables(ctx, c, r.cfg)
	if err != nil {
		return nil, err
	}
	found = append(found, more...)
	wrong, weight, first := problems(found), worst(found), r.source == (cdc.Source{})
	r.looked(found, sound)
	if wrong != nil && !r.staying && (first || weight != bearable) {
		return nil, wrong
	}
	is, err := readLineage(ctx, c, r.cfg)
	if err != nil || first {
		return nil, err
	}
	was, known := parseLineage(r.source.Lineage, r.cfg.Tables)
	known = known && r.stale == nil // it may be of other tables in the same number
	switch {
	case r.source.Lineage == "": // nobody knows what it was
		r.source.Lineage, was, known = is.String(), is, true
	case wrong != nil && weight == serious && lost == nil: // what was missed is compared when all is right
	case lost == nil && !known:
		lost = &loss{TablesReplaced, "what we have is of other tables or columns"}
	case lost == nil:
		lost = is.differs(was, r.cfg.Tables, upgrading(found) != nil)
	}
	if known {
		r.tables = knownTables(was, r.cfg.Tables)
		if e := is.rekeyed(was, r.cfg.Tables); e != nil {
			return nil, r.putOff(ctx, c, now, slot, &loss{TablesAltered, "the rows of a table have other keys"}, e)
		}
	}
	switch upgrade := upgrading(found); {
	case lost != nil && wrong != nil && weight != bearable:
		return nil, r.putOff(ctx, c, now, slot, lost, fmt.Errorf("the tables have to be read again (%s), which waits until this is put right: %w", lost.why, wrong))
	case lost != nil && upgrade != nil && slices.Contains([]Reason{TablesReplaced, TablesAltered}, lost.reason):
		waits := *upgrade
		waits.Got += ", and the tables have to be read again when it is over (" + lost.why + ")"
		waits.passing = true
		return nil, r.putOff(ctx, c, now, slot, lost, &waits)
	case wrong != nil && weight == blind:
		return nil, wrong
	}
	return lost, nil
}

// putOff gives the slot back while what keeps us from reading the tables again is being
// put right: the log that it would hold until then is of no more use.
func (r *Reader) putOff(ctx context.Context, c *conn, now cdc.Source, slot *slot, lost *loss, why error) error {
	if !r.staying {
		return why // whoever starts us can wait, too
	}
	if err := r.clear(ctx, c, now, slot); err != nil {
		return err
	}
	r.lost = lost
	return why
}

// looked notes what a look at the catalogue found.
func (r *Reader) looked(found []Finding, sound Soundness) {
	upgrade := upgrading(found)
	if before := r.board.health(found, sound, upgrade); before == nil && upgrade != nil {
		r.log.Warn("the LMS is being upgraded", "reason", upgrade.Error())
	}
}
