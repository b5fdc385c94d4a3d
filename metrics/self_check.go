package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SelfCheck is how the gateway's self-check stands.
type SelfCheck struct {
	Off bool // then the page has no gauge, and no alert can mistake it for a failure
	OK  bool
}

func selfCheckSection(source func() SelfCheck) prometheus.Collector {
	type S = SelfCheck
	return section[S]{source, []scraped[S]{
		newScraped(prometheus.GaugeValue, "self_check_ok",
			"Whether what we write into PostgreSQL's log comes back over a WebSocket; absent while self_check is off.",
			nil, func(s S, emit func(float64, ...string)) {
				if !s.Off {
					emit(truth(s.OK))
				}
			}),
	}}
}

func (m *Metrics) registerSelfCheck() {
	m.selfCheck = m.histogram("self_check_seconds",
		"Time from a self-check's write into PostgreSQL's log until it came back over a WebSocket; rounds that did not are not in it.",
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
}

// SelfChecked tells how long a round of the self-check took that came back.
func (m *Metrics) SelfChecked(took time.Duration) { m.selfCheck.Observe(took.Seconds()) }
