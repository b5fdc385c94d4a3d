package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// suggest names what was probably meant, or else all there is.
func suggest(word string, known []string) string {
	if near, ok := nearest(word, known); ok {
		return fmt.Sprintf(", the nearest known is %s", near)
	}
	return ", known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// nearest is the candidate that takes the fewest letters to reach from word,
// unless that is more than a third of them.
func nearest(word string, candidates []string) (string, bool) {
	if len(candidates) == 0 {
		return "", false
	}
	best := slices.MinFunc(candidates, func(a, b string) int {
		return cmp.Compare(distance(word, a), distance(word, b))
	})
	return best, distance(word, best) <= max(2, len(word)/3)
}

// distance is Levenshtein's: letters added, removed or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := diagonal
			if a[i] != b[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
