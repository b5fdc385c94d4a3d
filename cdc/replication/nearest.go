package replication

// nearest is the name that looks most like the one asked for; "" if none does.
func nearest(name string, names []string) string {
	best, at := "", max(2, len(name)/2)
	for _, n := range names {
		if d := distance(name, n); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the number of bytes to add, drop or replace to make b from a.
func distance(a, b string) int {
	line := make([]int, len(b)+1)
	for j := range line {
		line[j] = j
	}
	for i := range len(a) {
		diagonal := line[0]
		line[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, line[j+1] = line[j+1], min(line[j]+1, line[j+1]+1, diagonal+cost)
		}
	}
	return line[len(b)]
}
