package shadow

import "github.com/schoolbell/schoolbell/cdc"

// Newest is the position of the newest event that a checkpoint covers; zero: there is
// none.
func (s *Store) Newest() cdc.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.covered
}

// DropUncovered removes the events that went ahead of a checkpoint which did not come.
// Call it before something else goes ahead than the same transaction again.
func (s *Store) DropUncovered() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.dropUncovered(); err != nil {
		return err
	}
	s.newest = s.covered
	return nil
}
