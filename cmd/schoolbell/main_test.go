package main

import (
	"flag"
	"os"
	"testing"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// mainVariable makes this test binary the program itself, so that a test can run
// it as a process of its own, and kill it.
const mainVariable = "SCHOOLBELL_TEST_MAIN"

// The flags of the fault suite.
const (
	faultsNumber = "faults.n"
	faultsSeed   = "faults.seed"
	faultsOnly   = "faults.only"
)

// The flags of the leak test.
const (
	leakNumber = "leak.n"
	leakSeed   = "leak.seed"
)

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) == "1" {
		main()
		return
	}
	flag.Int(faultsNumber, 0, "how many faults to inject; 0: each kind once")
	flag.Uint64(faultsSeed, 20261123, "which faults to inject, and what the LMS does meanwhile")
	flag.String(faultsOnly, "", "inject only faults whose name contains this")
	flag.Int(leakNumber, 120, "how many transactions happen in each LMS of the leak test")
	flag.Uint64(leakSeed, 20261123, "what happens in the leak test")
	pgtest.Main(m)
}
