package profile

import (
	"errors"
	"fmt"
	"strings"
)

// Source is a built-in profile as it is written. Its first line is a comment that says
// which LMS it is for.
func Source(name string) ([]byte, error) {
	src, err := builtin.ReadFile("builtin/" + name + ".yaml")
	if err != nil {
		known := BuiltIn()
		msg := fmt.Sprintf("no built-in profile is called %q; there are %s", name, strings.Join(known, ", "))
		if hint := didYouMean(name, known); hint != "" {
			msg += "; " + hint
		}
		return nil, errors.New(msg)
	}
	return src, nil
}
