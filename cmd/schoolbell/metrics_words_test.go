package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/metrics"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// The sockets tell the metrics what happens.
var _ wsserver.Observer = (*metrics.Metrics)(nil)

// A word that its owner uses and the metrics do not know would be counted as
// "other": right in sum, and useless to whoever reads the graph.
func TestTheMetricsKnowTheWordsOfEveryStep(t *testing.T) {
	list, err := metrics.Describe()
	require.NoError(t, err)
	instrument := func(name string) metrics.Instrument {
		i := slices.IndexFunc(list, func(i metrics.Instrument) bool { return i.Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		return list[i]
	}
	values := func(name string) []string { return instrument(name).Labels[0].Values }
	labels := func(name, label string) []string {
		all := instrument(name).Labels
		return all[slices.IndexFunc(all, func(l metrics.Label) bool { return l.Name == label })].Values
	}
	for _, kind := range cdc.Kinds {
		require.Contains(t, values("schoolbell_events_total"), kind.String())
		require.Contains(t, values("schoolbell_messages_sent_total"), kind.String())
	}
	for _, role := range []cdc.Role{cdc.Teacher, cdc.Tutor, cdc.Admin} {
		require.Contains(t, values("schoolbell_sessions"), role.String())
	}
	for _, state := range replication.States {
		require.Contains(t, values("schoolbell_replication_state"), string(state))
	}
	for _, cause := range replication.Causes {
		require.Contains(t, values("schoolbell_replication_reconnects_total"), string(cause))
	}
	for _, reason := range replication.Reasons {
		require.Contains(t, values("schoolbell_resnapshots_total"), string(reason))
	}
	for _, reason := range []router.GapReason{router.Retention, router.Bulk, router.HistoryLost} {
		require.Contains(t, values("schoolbell_router_gaps_total"), string(reason))
	}
	for _, limit := range wsserver.LimitNames {
		require.Contains(t, values("schoolbell_limited_total"), limit)
	}
	require.Contains(t, values("schoolbell_messages_sent_total"), router.GapType)
	for _, hearing := range projection.Hearings {
		require.Contains(t, values("schoolbell_sql_messages_total"), hearing)
	}
	for _, transport := range wsserver.TransportNames {
		require.Contains(t, values("schoolbell_sessions_by_transport"), transport)
	}
	for _, way := range auth.WayNames {
		require.Contains(t, values("schoolbell_sign_ins_total"), way)
		require.Contains(t, labels("schoolbell_auth_attempts_total", "way"), way)
	}
	require.Contains(t, labels("schoolbell_auth_attempts_total", "way"), auth.NoWay)
	for _, outcome := range auth.Outcomes {
		require.Contains(t, labels("schoolbell_auth_attempts_total", "outcome"), outcome)
	}
	for _, kind := range auth.QueryKinds {
		require.Contains(t, values("schoolbell_auth_queries_total"), kind)
	}
	for _, outcome := range wsserver.PublishOutcomes {
		require.Contains(t, values("schoolbell_publish_requests_total"), outcome)
	}
}
