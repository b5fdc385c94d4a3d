package shadow

import "context"

// Settle finishes the compactions that a load has left, for a benchmark to begin
// from rest.
func (s *Store) Settle(ctx context.Context) error {
	return s.db.Compact(ctx, []byte{0}, []byte{0xff, 0xff}, false)
}
