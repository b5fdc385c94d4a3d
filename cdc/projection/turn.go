package projection

import "context"

// A turn is the right to change the projection, one at a time: the goroutine that reads
// the log has it for a transaction, a snapshot or a moment; whoever publishes, for
// messages. Whoever has it may change everything that mu does not guard, and alone calls
// publish, so that events leave in the order of their positions.
//
// A transaction may take long, for it is read from the connection meanwhile. So the turn
// is a channel, for which one can wait with a context. Who waits for longer is served
// first.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn. It is taken, if it is free, even when ctx has ended: last
// words need it.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait is take without an end: nobody keeps the turn for longer from the goroutine that
// reads the log than one write to the disk takes.
func (t turn) wait() { t <- struct{}{} }

func (t turn) end() { <-t }
