package projection

// spares are values of earlier transactions, whose memory the next ones use again.
type spares[T any] []*T

// sparesKept is of how many the memory is kept: most transactions are small.
const sparesKept = 64

// take answers a zero value.
func (s *spares[T]) take() (v *T) {
	n := len(*s)
	if n == 0 {
		return new(T)
	}
	v, *s = (*s)[n-1], (*s)[:n-1]
	return v
}

// keep takes back a value that nobody has any more.
func (s *spares[T]) keep(v *T) {
	if len(*s) == sparesKept {
		return
	}
	var zero T
	*v = zero
	*s = append(*s, v)
}
