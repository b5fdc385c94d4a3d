package projection_test

import (
	"flag"
	"os"
	"testing"
)

// updateFlag is the flag that rewrites what the golden stories expect.
const updateFlag = "update"

func TestMain(m *testing.M) {
	flag.Bool(updateFlag, false, "write what happens into the golden stories, in place of what they expect")
	os.Exit(m.Run())
}

// updates says whether the golden stories are to be rewritten.
func updates() bool {
	return flag.Lookup(updateFlag).Value.(flag.Getter).Get().(bool)
}
