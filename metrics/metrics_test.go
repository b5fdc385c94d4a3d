package metrics_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/metrics"
)

func page(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code)
	return w.Body.String()
}

// ours leaves out what every Go program has.
func ours(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if strings.Contains(line, "schoolbell_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func series(page string) []string {
	var names []string
	for line := range strings.Lines(ours(page)) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, line[:strings.LastIndexByte(line, ' ')])
		}
	}
	return names
}

func TestThePagePassesPromlintAndEveryHelpIsASentence(t *testing.T) {
	text := page(t, busy())
	problems, err := promlint.New(strings.NewReader(ours(text))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)

	help := regexp.MustCompile(`(?m)^# HELP (schoolbell_\S+) (.*)$`).FindAllStringSubmatch(text, -1)
	require.Greater(t, len(help), 30)
	for _, h := range help {
		require.Regexp(t, `^[A-Z].*\.$`, h[2], h[1])
	}
	require.Contains(t, text, "process_resident_memory_bytes ")
	require.Contains(t, text, "go_goroutines ")
}

func TestEveryLabelValueIsKnownBeforehandAndStandsAtZero(t *testing.T) {
	fresh := page(t, metrics.New(info(), metrics.Sources{}))
	for _, want := range []string{
		`schoolbell_events_total{kind="submission"} 0`,
		`schoolbell_replication_rows_total{op="update",table="public.accounts_user"} 0`,
		`schoolbell_replication_state{state="streaming"} 0`,
		`schoolbell_sessions{role="tutor"} 0`,
		`schoolbell_sessions_closed_total{reason="slow_consumer"} 0`,
		`schoolbell_handshakes_total{outcome="not_ready"} 0`,
		`schoolbell_messages_sent_total{type="welcome"} 0`,
		`schoolbell_router_gaps_total{reason="bulk"} 0`,
		`schoolbell_delivery_seconds_bucket{le="0.0005"} 0`,
		`schoolbell_store_sync_seconds_count 0`,
		`schoolbell_slot_invalidated{reason="wal_removed"} 0`,
		`schoolbell_auth_attempts_total{outcome="refused",way="token"} 0`,
		`schoolbell_auth_attempts_total{outcome="refused",way="none"} 0`,
		`schoolbell_auth_queries_total{kind="recheck"} 0`,
		`schoolbell_auth_cache_total{result="hit"} 0`,
		`schoolbell_sessions_by_way{way="proxy"} 0`,
		`schoolbell_log_messages_total{level="error"} 0`,
		`schoolbell_publication_ok 0`,
		`schoolbell_identity_ok 0`,
		`schoolbell_ready 0`,
	} {
		require.Contains(t, fresh, want+"\n")
	}
	for line := range strings.Lines(ours(fresh)) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "_info{") && !strings.Contains(line, "slot_safe_bytes") {
			require.True(t, strings.HasSuffix(line, " 0\n"), line)
		}
	}
	require.Equal(t, series(fresh), series(page(t, busy())), "what happens adds no series")
}

func TestAValueNobodyForesawIsCountedAsOther(t *testing.T) {
	m := metrics.New(metrics.Info{}, metrics.Sources{Replication: func() metrics.Replication {
		return metrics.Replication{
			State:      "day-dreaming",
			Rows:       []metrics.TableRows{{Table: "a", Inserts: 3}, {Table: "b", Inserts: 4}},
			Reconnects: map[string]int64{"x": 1, "y": 1},
		}
	}, Slot: func() metrics.Slot { return metrics.Slot{Invalidated: "boredom"} }})
	m.Handshake("x")
	m.Opened("janitor", "pigeon", "whistle")
	m.Closed("janitor", "pigeon", "whistle", "bored")
	m.Opened("janitor", "pigeon", "whistle")
	m.Sent("broadcast", 2, 100)
	m.Received("{")
	m.Attempted("whistle", "laughed at")
	m.Attempted("token", "laughed at")
	text := page(t, m)
	for _, want := range []string{
		`schoolbell_replication_state{state="other"} 1`,
		`schoolbell_replication_rows_total{op="insert",table="other"} 7`,
		`schoolbell_replication_reconnects_total{cause="other"} 2`,
		`schoolbell_handshakes_total{outcome="other"} 1`,
		`schoolbell_sessions{role="other"} 1`,
		`schoolbell_sessions_closed_total{reason="other"} 1`,
		`schoolbell_messages_sent_total{type="other"} 2`,
		`schoolbell_messages_sent_bytes_total{type="other"} 100`,
		`schoolbell_messages_received_total{type="other"} 1`,
		`schoolbell_slot_invalidated{reason="other"} 1`,
		`schoolbell_sessions_by_way{way="other"} 1`,
		`schoolbell_auth_attempts_total{outcome="other",way="other"} 1`,
		`schoolbell_auth_attempts_total{outcome="other",way="token"} 1`,
	} {
		require.Contains(t, text, want+"\n")
	}
	require.NotContains(t, text, "janitor")
	require.NotContains(t, text, "whistle")
}

func TestThePageShowsWhatWasToldAndWhatTheSourcesSay(t *testing.T) {
	text := page(t, busy())
	for _, want := range []string{
		`schoolbell_build_info{goversion="go1.26",revision="abc",version="v1"} 1`,
		`schoolbell_config_info{profile="django",profile_hash="f00",publication="p",slot="s"} 1`,
		`schoolbell_ready 1`,
		`schoolbell_replication_connected 1`,
		`schoolbell_replication_caught_up 1`,
		`schoolbell_replication_problem 1`,
		`schoolbell_replication_state{state="streaming"} 1`,
		`schoolbell_replication_state{state="snapshotting"} 0`,
		`schoolbell_publication_ok 1`,
		`schoolbell_identity_ok 1`,
		`schoolbell_replication_lag_bytes 4096`,
		`schoolbell_replication_lag_seconds 0.25`,
		`schoolbell_replication_transactions_total 12`,
		`schoolbell_replication_rows_total{op="insert",table="public.accounts_user"} 1`,
		`schoolbell_replication_rows_total{op="update",table="public.accounts_user"} 5`,
		`schoolbell_replication_rows_total{op="delete",table="public.accounts_user"} 2`,
		`schoolbell_replication_rows_total{op="truncate",table="public.accounts_user"} 3`,
		`schoolbell_replication_reconnects_total{cause="server_gone"} 2`,
		`schoolbell_resnapshots_total{reason="slot_missing"} 2`,
		`schoolbell_slot_active 1`,
		`schoolbell_slot_held_bytes 1.6777216e+07`,
		`schoolbell_slot_safe_bytes 1e+09`,
		`schoolbell_slot_wal_status{status="reserved"} 1`,
		`schoolbell_slot_invalidated{reason="idle_timeout"} 1`,
		`schoolbell_slot_invalidated{reason="wal_removed"} 0`,
		`schoolbell_slot_spilled_transactions_total 3`,
		`schoolbell_slot_spilled_bytes_total 7e+07`,
		`schoolbell_snapshot_remaining_seconds 2`,
		`schoolbell_snapshot_done_ratio 0.5`,
		`schoolbell_snapshot_rows 50`,
		`schoolbell_snapshot_done 1`,
		`schoolbell_snapshot_expected_rows 100`,
		`schoolbell_snapshot_rows_per_second 25`,
		`schoolbell_events_total{kind="grade"} 7`,
		`schoolbell_projection_unchanged_rows_total 3`,
		`schoolbell_shadow_rows{kind="people"} 800`,
		`schoolbell_shadow_rows{kind="assignments"} 60`,
		`schoolbell_projection_apply_seconds_bucket{le="0.001"} 1`,
		`schoolbell_router_subscriptions 4`,
		`schoolbell_router_queue_drops_total 1`,
		`schoolbell_router_gaps_total{reason="retention"} 2`,
		`schoolbell_router_resumes_total{outcome="resumed"} 6`,
		`schoolbell_router_resumes_total{outcome="reset"} 5`,
		`schoolbell_router_replaying_subscriptions 2`,
		`schoolbell_router_replayed_messages_total 11`,
		`schoolbell_router_revoked_total 3`,
		`schoolbell_router_queue_high_messages 40`,
		`schoolbell_store_size_bytes 2048`,
		`schoolbell_store_sync_seconds_bucket{le="0.005"} 1`,
		`schoolbell_store_batch_bytes_bucket{le="4096"} 1`,
		`schoolbell_store_batch_bytes_bucket{le="1024"} 0`,
		`schoolbell_data_free_bytes 5e+10`,
		`schoolbell_history_events 17`,
		`schoolbell_auth_queries_total{kind="sign_in"} 12`,
		`schoolbell_auth_queries_total{kind="recheck"} 5`,
		`schoolbell_auth_cache_total{result="hit"} 30`,
		`schoolbell_auth_cache_total{result="miss"} 4`,
		`schoolbell_auth_attempts_total{outcome="refused",way="token"} 1`,
		`schoolbell_auth_attempts_total{outcome="accepted",way="token"} 0`,
		`schoolbell_sessions_by_way{way="jwt"} 1`,
		`schoolbell_limited_total{limit="address"} 3`,
		`schoolbell_gathered_sign_ins_total 9`,
		`schoolbell_tls_certificate_expiry_timestamp_seconds 2e+09`,
		`schoolbell_sessions{role="teacher"} 1`,
		`schoolbell_sessions_closed_total{reason="going_away"} 1`,
		`schoolbell_handshakes_total{outcome="accepted"} 1`,
		`schoolbell_messages_sent_total{type="grade"} 8`,
		`schoolbell_messages_sent_bytes_total{type="grade"} 2400`,
		`schoolbell_messages_received_total{type="pong"} 1`,
		`schoolbell_delivery_seconds_bucket{le="0.0025"} 1`,
		`schoolbell_delivery_seconds_bucket{le="0.005"} 2`,
	} {
		require.Contains(t, text, want+"\n")
	}
	age := regexp.MustCompile(`(?m)^schoolbell_history_oldest_age_seconds (\S+)`).FindStringSubmatch(text)
	require.Regexp(t, `^36\d\d\.`, age[1])
}

func TestASlotWithoutALimitIsInfinitelySafe(t *testing.T) {
	require.Contains(t, page(t, metrics.New(metrics.Info{}, metrics.Sources{})), "schoolbell_slot_safe_bytes +Inf\n")
}

func TestRoomThatNobodyKnowsIsNoNumber(t *testing.T) {
	m := metrics.New(metrics.Info{}, metrics.Sources{Store: func() metrics.Store { return metrics.Store{Free: -1} }})
	require.Contains(t, page(t, m), "schoolbell_data_free_bytes NaN\n")
}

func TestLinesThatAreLoggedAreCountedByLevelAndPassedOn(t *testing.T) {
	m := metrics.New(metrics.Info{}, metrics.Sources{})
	var out strings.Builder
	log := slog.New(m.Logs(slog.NewTextHandler(&out, nil)))
	log.Info("one")
	log.Debug("which the handler does not want")
	log.With("lsn", 7).Warn("two")
	log.WithGroup("slot").Error("three", "held", 1)
	log.Log(t.Context(), slog.LevelInfo+1, "four")
	log.Log(t.Context(), slog.LevelError+4, "five")
	log.Log(t.Context(), slog.LevelWarn-1, "six")
	text := page(t, m)
	for level, n := range map[string]int{"debug": 0, "info": 3, "warn": 1, "error": 2, "other": 0} {
		require.Contains(t, text, fmt.Sprintf("schoolbell_log_messages_total{level=%q} %d\n", level, n))
	}
	require.Equal(t, 6, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), `msg=two lsn=7`)
	require.Contains(t, out.String(), `msg=three slot.held=1`)
}

func TestACommitInTheFutureIsNoDelay(t *testing.T) {
	m := metrics.New(metrics.Info{}, metrics.Sources{})
	m.Delay(-time.Hour)
	require.Contains(t, page(t, m), "schoolbell_delivery_seconds_sum 0\n")
}

// An alert on == 0 must not come where nobody has switched the check on.
func TestASelfCheckThatIsOffIsNoFailure(t *testing.T) {
	of := func(state metrics.SelfCheck) string {
		m := metrics.New(metrics.Info{}, metrics.Sources{SelfCheck: func() metrics.SelfCheck { return state }})
		m.SelfChecked(40 * time.Millisecond)
		return page(t, m)
	}
	require.NotContains(t, of(metrics.SelfCheck{Off: true, OK: true}), "self_check_ok")
	require.Contains(t, of(metrics.SelfCheck{OK: true}), "\nschoolbell_self_check_ok 1\n")
	require.Contains(t, of(metrics.SelfCheck{}), "\nschoolbell_self_check_ok 0\n")
	require.Contains(t, of(metrics.SelfCheck{}), "\nschoolbell_self_check_seconds_sum 0.04\n")
}

func TestHistogramsComeInTheNativeFormToo(t *testing.T) {
	r := httptest.NewRequest("GET", "/metrics", nil)
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	r.Header.Set("Accept", string(format))
	w := httptest.NewRecorder()
	busy().Handler().ServeHTTP(w, r)

	native := map[string]bool{}
	decode := expfmt.NewDecoder(w.Body, format)
	for {
		var family dto.MetricFamily
		err := decode.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if family.GetType() == dto.MetricType_HISTOGRAM && strings.HasPrefix(family.GetName(), "schoolbell_") {
			h := family.GetMetric()[0].GetHistogram()
			require.NotEmpty(t, h.GetPositiveSpan(), family.GetName())
			require.NotEmpty(t, h.GetBucket(), family.GetName())
			native[family.GetName()] = true
		}
	}
	require.Equal(t, map[string]bool{
		"schoolbell_delivery_seconds": true, "schoolbell_projection_apply_seconds": true,
		"schoolbell_store_sync_seconds": true, "schoolbell_store_batch_bytes": true, "schoolbell_self_check_seconds": true,
	}, native)
}

func TestAllMethodsMayBeCalledFromAnyGoroutine(t *testing.T) {
	m := metrics.New(metrics.Info{}, metrics.Sources{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				tell(m)
				m.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
			}
		})
	}
	wg.Wait()
	require.Contains(t, page(t, m), `schoolbell_sessions{role="teacher"} 400`+"\n")
}

func TestTheReferenceNamesEveryInstrumentOnThePage(t *testing.T) {
	table, err := metrics.Table()
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (schoolbell_\S+) (\S+)$`).FindAllStringSubmatch(page(t, busy()), -1) {
		require.Contains(t, table, "| `"+m[1]+"` | "+m[2]+" | ")
	}
	require.Contains(t, table, "| `schoolbell_replication_rows_total` | counter | "+
		"`op`: delete, insert, truncate, update; `table` | Row changes read from the log. |\n")
	require.Contains(t, table, "| `schoolbell_build_info` | gauge | `goversion`; `revision`; `version` | ")
}

func TestNoLabelNamesAPerson(t *testing.T) {
	list, err := metrics.Describe()
	require.NoError(t, err)
	told := []string{ // each has few values, known beforehand or given by the build and the configuration
		"cause", "goversion", "kind", "level", "limit", "op", "outcome", "profile", "profile_hash", "publication",
		"reason", "result", "revision", "role", "slot", "state", "status", "table", "transport", "type", "version", "way",
	}
	for _, i := range list {
		for _, label := range i.Labels {
			require.Contains(t, told, label.Name, i.Name)
		}
	}
}

// tell calls every method once or twice.
func tell(m *metrics.Metrics) {
	m.Applied(800 * time.Microsecond)
	m.Synced(3 * time.Millisecond)
	m.Committed(3000)
	m.Attempted("token", "refused")
	m.Handshake("accepted")
	m.Opened("teacher", "sse", "jwt")
	m.Opened("teacher", "sse", "jwt")
	m.Closed("teacher", "sse", "jwt", "going_away")
	m.Sent("grade", 8, 2400)
	m.Received("pong")
	m.SelfChecked(40 * time.Millisecond)
	m.Delay(2 * time.Millisecond)
	m.Delay(3 * time.Millisecond)
}

func info() metrics.Info {
	return metrics.Info{
		Version: "v1", Revision: "abc", GoVersion: "go1.26",
		Profile: "django", ProfileHash: "f00", Slot: "s", Publication: "p",
		Tables: []string{"public.accounts_user"},
	}
}

// busy are the metrics of a gateway at work.
func busy() *metrics.Metrics {
	m := metrics.New(info(), metrics.Sources{
		Ready: func() bool { return true },
		Replication: func() metrics.Replication {
			return metrics.Replication{
				State: "streaming", CaughtUp: true, Problem: true, Publication: true, Identity: true,
				LagBytes: 4096, Lag: 250 * time.Millisecond, Transactions: 12,
				Rows:        []metrics.TableRows{{Table: "public.accounts_user", Inserts: 1, Updates: 5, Deletes: 2, Truncates: 3}},
				Reconnects:  map[string]int64{"server_gone": 2},
				Resnapshots: map[string]int64{"slot_missing": 2},
			}
		},
		Slot: func() metrics.Slot {
			return metrics.Slot{
				Active: true, HeldBytes: 16 << 20, WALStatus: "reserved", SafeBytes: 1e9, Limited: true,
				Invalidated: "idle_timeout", SpilledTransactions: 3, SpilledBytes: 7e7,
			}
		},
		Snapshot: func() metrics.Snapshot {
			return metrics.Snapshot{Rows: 50, Expected: 100, Share: 0.5, PerSecond: 25, Remaining: 2 * time.Second, Done: true}
		},
		Projection: func() metrics.Projection {
			return metrics.Projection{Events: map[string]uint64{"grade": 7}, Unchanged: 3, People: 800, Assignments: 60}
		},
		Router: func() metrics.Router {
			return metrics.Router{
				Subscriptions: 4, Replaying: 2, Replayed: 11, Drops: 1, Revoked: 3, QueueHigh: 40,
				Gaps: map[string]uint64{"retention": 2}, Resumed: 6, Reset: 5,
			}
		},
		Listener: func() metrics.Listener {
			return metrics.Listener{Limited: map[string]uint64{"address": 3}, Gathered: 9, Expires: time.Unix(2e9, 0)}
		},
		Store: func() metrics.Store {
			return metrics.Store{Bytes: 2048, Free: 5e10, Events: 17, Oldest: time.Now().Add(-time.Hour)}
		},
		SignIn: func() metrics.SignIn {
			return metrics.SignIn{Queries: map[string]uint64{"sign_in": 12, "recheck": 5}, Known: 30, Unknown: 4}
		},
	})
	tell(m)
	return m
}
