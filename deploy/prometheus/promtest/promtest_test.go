package promtest_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/prometheus/promtest"
)

// outcome is a test that remembers how it ended.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (o *outcome) Helper() {}

func (o *outcome) Skip(args ...any) {
	o.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (o *outcome) Fatal(args ...any) {
	o.failed = fmt.Sprint(args...)
	runtime.Goexit()
}

func TestWhereThereIsNoPrometheusATestIsSkippedAndFailsWhereOneIsRequired(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	end := func(use func(t testing.TB)) *outcome {
		o := &outcome{TB: t}
		var wg sync.WaitGroup
		wg.Go(func() { use(o) })
		wg.Wait()
		return o
	}
	for program, use := range map[string]func(t testing.TB){
		"promtool":   func(t testing.TB) { _, _ = promtest.Tool(t, ".", "check", "config", "none") },
		"prometheus": func(t testing.TB) { promtest.Start(t, ".") },
	} {
		missing := "no " + program + " in PATH: apt-get install prometheus"
		t.Setenv("SCHOOLBELL_TEST_REQUIRE", "")
		require.Equal(t, &outcome{TB: t, skipped: missing}, end(use))
		t.Setenv("SCHOOLBELL_TEST_REQUIRE", "1")
		require.Equal(t, &outcome{TB: t, failed: missing}, end(use))
	}
}
