package shadow_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The test binary starts itself again to have a process that can be killed or
// given limits; childEnv then names what it is to do, and where.
const childEnv, childDirEnv = "SHADOW_TEST_CHILD", "SHADOW_TEST_DIR"

func TestMain(m *testing.M) {
	children := map[string]func(dir string){
		"commit": childCommits,
		"open":   childOpens,
		"fill":   childFillsTheDisk,
	}
	if child := children[os.Getenv(childEnv)]; child != nil {
		child(os.Getenv(childDirEnv))
		return
	}
	goleak.VerifyTestMain(m)
}
