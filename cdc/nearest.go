package cdc

import "strings"

// Nearest finds the word that was probably meant: the one at the smallest edit
// distance, if that is at most a third of the longer word. It returns "" when
// nothing is near.
func Nearest(word string, known []string) string {
	best, at := "", 0
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d > max(len(word), len(k))/3 || k == word {
			continue
		}
		if best == "" || d < at {
			best, at = k, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace, or swap with their
// neighbour to get from a to b. It looks at bytes: most such words are ASCII,
// and for others it only has to be about right.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b)) // longer than any PostgreSQL name
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := prev[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, prev[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
