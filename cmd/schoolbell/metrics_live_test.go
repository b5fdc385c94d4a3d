package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/postgres/pgtest"
)

// shows waits until a number on the metrics page is as it should be, and answers it.
func (s *site) shows(name string, holds func(v float64) bool) (v float64) {
	s.t.Helper()
	get(s.t, "http://"+s.admin+"/metrics", func(_ int, page string) bool {
		var err error
		v, err = strconv.ParseFloat(metric(page, name), 64)
		return err == nil && holds(v)
	})
	return v
}

func (s *site) showsAll(want map[string]float64) {
	s.t.Helper()
	for name, n := range want {
		s.shows(name, func(v float64) bool { return v == n })
	}
}

func positive(v float64) bool { return v > 0 }

// Whatever happens to a gateway moves what the people on call look at.
func TestTheMetricsOfAGatewayMoveWithWhatHappensToIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET logical_decoding_work_mem = ''64kB''', current_database()); END $$`)
	gateway := s.serve()
	s.ready()
	s.showsAll(map[string]float64{
		"schoolbell_publication_ok": 1, "schoolbell_identity_ok": 1, "schoolbell_snapshot_remaining_seconds": 0, "schoolbell_history_events": 0,
		`schoolbell_slot_invalidated{reason="wal_removed"}`: 0, `schoolbell_slot_invalidated{reason="other"}`: 0, "schoolbell_slot_spilled_bytes_total": 0,
	})
	for _, name := range []string{
		"schoolbell_data_free_bytes", "schoolbell_store_batch_bytes_count", "schoolbell_store_sync_seconds_count",
		`schoolbell_log_messages_total{level="info"}`, `schoolbell_auth_queries_total{kind="check"}`,
	} {
		s.shows(name, positive)
	}

	// People come, and are refused.
	d := s.watch(s.school.Admins[0])
	s.requireStatus(http.StatusUnauthorized, "unauthenticated", s.base(), "Authorization", "Token of-nobody")
	s.requireStatus(http.StatusUnauthorized, "unauthenticated", s.base())
	s.showsAll(map[string]float64{
		`schoolbell_sessions_by_way{way="token"}`:                             1,
		`schoolbell_auth_attempts_total{outcome="accepted",way="token"}`:      1,
		`schoolbell_auth_attempts_total{outcome="refused",way="token"}`:       1,
		`schoolbell_auth_attempts_total{outcome="refused",way="none"}`:        1,
		`schoolbell_auth_queries_total{kind="sign_in"}`:                       2,
		`schoolbell_auth_cache_total{result="hit"}`:                           0,
		`schoolbell_auth_attempts_total{outcome="unavailable",way="session"}`: 0,
	})

	// The LMS writes, once so much at once that PostgreSQL does not keep it in memory.
	batches := s.shows("schoolbell_store_batch_bytes_count", positive)
	syncs := s.shows("schoolbell_store_sync_seconds_count", positive)
	s.grade(41)
	s.sees(d, 1)
	s.shows("schoolbell_store_batch_bytes_count", func(v float64) bool { return v > batches })
	s.shows("schoolbell_store_sync_seconds_count", func(v float64) bool { return v > syncs })
	s.showsAll(map[string]float64{"schoolbell_history_events": 1})
	n := 1 + int(s.number(`SELECT count(*)::text FROM assignments_assignmentsubmission WHERE submitted_at IS NOT NULL AND grade IS DISTINCT FROM 40`))
	s.exec(`DO $$ BEGIN FOR mark IN 1..40 LOOP
		UPDATE assignments_assignmentsubmission SET grade = mark WHERE submitted_at IS NOT NULL; END LOOP; END $$`)
	s.sees(d, n)
	s.showsAll(map[string]float64{"schoolbell_history_events": float64(n), `schoolbell_events_total{kind="grade"}`: float64(n)})
	require.Zero(t, gateway.stop(5*time.Second), gateway.text())
	gateway.restart() // which looks at the slot at once
	s.ready()
	s.showsAll(map[string]float64{"schoolbell_history_events": float64(n), `schoolbell_events_total{kind="grade"}`: 0})
	s.grade(42)
	s.sees(d, n+1)
	if pgtest.Server(t).Major() >= 14 {
		s.shows("schoolbell_slot_spilled_transactions_total", positive)
		s.shows("schoolbell_slot_spilled_bytes_total", func(v float64) bool { return v > 64<<10 })
	}

	s.showsAll(map[string]float64{
		`schoolbell_shadow_rows{kind="people"}`:      float64(s.number(`SELECT count(*)::text FROM accounts_user`)),
		`schoolbell_shadow_rows{kind="assignments"}`: float64(s.number(`SELECT count(*)::text FROM assignments_assignment`)),
	})

	// Somebody publishes more, of which the LMS's own statements fail.
	s.exec(`CREATE TABLE diary (line text)`)
	s.exec(`ALTER PUBLICATION schoolbell ADD TABLE diary`)
	s.reattach()
	s.showsAll(map[string]float64{"schoolbell_publication_ok": 0, "schoolbell_identity_ok": 0})
	s.exec(`ALTER PUBLICATION schoolbell DROP TABLE diary`)
	s.reattach()
	s.showsAll(map[string]float64{"schoolbell_publication_ok": 1, "schoolbell_identity_ok": 1})
	s.shows(`schoolbell_log_messages_total{level="warn"}`, positive)

	require.NotEmpty(t, s.native("schoolbell_delivery_seconds").GetPositiveSpan())
	require.NotEmpty(t, s.native("schoolbell_delivery_seconds").GetBucket())
}

// native is a histogram as Prometheus gets it that asks for the native form.
func (s *site) native(name string) *dto.Histogram {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.admin+"/metrics", nil)
	require.NoError(s.t, err)
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	r.Header.Set("Accept", string(format))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	decode := expfmt.NewDecoder(bytes.NewReader(body), format)
	for {
		var family dto.MetricFamily
		err := decode.Decode(&family)
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("no %s on the page", name)
		}
		require.NoError(s.t, err)
		if family.GetName() == name {
			return family.GetMetric()[0].GetHistogram()
		}
	}
}
