package logs

import (
	"bytes"
	"slices"
	"sync"
)

// Ring keeps the last lines that were written into it. Every Write is one line, as slog's
// handlers write them.
type Ring struct {
	most int

	mu    sync.Mutex // guards what follows
	lines [][]byte
	size  int // of all lines, in bytes
}

// NewRing keeps at most so many bytes.
func NewRing(most int) *Ring { return &Ring{most: most} }

// Write takes a line. The oldest go where there is no room for it; one that is longer than
// all the room is not kept.
func (r *Ring) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, slices.Clone(line))
	r.size += len(line)
	for r.size > r.most {
		r.size -= len(r.lines[0])
		r.lines[0] = nil
		r.lines = r.lines[1:]
	}
	return len(line), nil
}

// Bytes are the lines, the oldest first.
func (r *Ring) Bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Join(r.lines, nil)
}
