package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// nearest names what was probably meant, where all there is has been named.
func nearest(word string, known []string) string {
	if near := cdc.Nearest(word, known); near != "" {
		return "; the nearest is " + near
	}
	return ""
}

// suggest names what was probably meant, or else all there is.
func suggest(word string, known []string) string {
	if near := cdc.Nearest(word, known); near != "" {
		return fmt.Sprintf(", the nearest known is %s", near)
	}
	return ", known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
