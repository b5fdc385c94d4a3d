package main

import (
	"os"
	"testing"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// mainVariable makes this test binary the program itself, so that a test can run
// it as a process of its own, and kill it.
const mainVariable = "SCHOOLBELL_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) == "1" {
		main()
		return
	}
	pgtest.Main(m)
}
