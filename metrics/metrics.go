// Package metrics holds every Prometheus instrument of schoolbell, in one place.
//
// Two ways lead in. Live state that somebody keeps anyway (the lag, the slot, the
// size of the store) is read when Prometheus scrapes, through the functions in
// Sources. What only its doer sees (a frame written, a session closed, how long
// something took) is told by calling a method. One way leads out: Handler, the
// page that Prometheus reads.
//
// # Promises
//
//   - The page passes promlint: base units, names by the rules, every Help a
//     sentence.
//   - Every label value is known beforehand and stands on the page with zero
//     before it first happens, so that a rate over it is right from the first
//     event. A value nobody foresaw is counted as "other": what comes from
//     outside cannot grow the page.
//   - No label names a person.
//
// All methods may be called from any goroutine. The package starts none, keeps
// its own registry, and imports nothing of ours: serve hands everything in.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// prefix stands before every name of ours.
const prefix = "schoolbell_"

// Info is what does not change while the process runs.
type Info struct {
	Version   string // of this binary
	Revision  string // commit that it was built from
	GoVersion string

	Profile     string // name of the profile
	ProfileHash string // changes when the profile's meaning does
	Slot        string
	Publication string

	Tables []string // all tables that the profile reads; the values of the label "table"
}

// Metrics are the instruments. Make one with New.
type Metrics struct {
	registry *prometheus.Registry

	apply     prometheus.Histogram
	delivery  prometheus.Histogram
	syncs     prometheus.Histogram
	batches   prometheus.Histogram
	selfCheck prometheus.Histogram

	sessions   gauges
	transports gauges
	byWay      gauges
	attempts   grid
	logged     counters
	handshakes counters
	closes     counters
	signIns    counters
	revoked    counters
	sent       counters
	sentBytes  counters
	received   counters
	published  counters
}

// New makes the instruments. A source that is nil reads as its zero value.
func New(info Info, sources Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.registerInfo(info)
	m.registerSources(info, sources)
	m.registerTold()
	return m
}

// Handler serves the page: text, OpenMetrics, or protobuf with the native
// histograms, as the scraper asks.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// registerTold makes the instruments behind the methods.
func (m *Metrics) registerTold() {
	m.apply = m.histogram("projection_apply_seconds",
		"Time to fold a transaction into the shadow and to commit it to the store.",
		0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 10, 60)
	m.delivery = m.histogram("delivery_seconds",
		"Time from an event's commit, by PostgreSQL's clock, to its write to a socket; resumed events are not in it.",
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

	m.syncs = m.histogram("store_sync_seconds",
		"Time of an fsync of the store, which PostgreSQL is told of only afterwards.",
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
	m.batches = m.histogram("store_batch_bytes",
		"Size of a batch of the store: one transaction, or several that came together, or a part of a large one.",
		256, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 4<<20, 16<<20)
	m.selfCheck = m.histogram("self_check_seconds",
		"Time from a self-check's write into PostgreSQL's log until it came back over a WebSocket; rounds that did not are not in it.",
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

	m.sessions = m.gauges("sessions", "Dashboards connected now.", "role", roles())
	m.transports = m.gauges("sessions_by_transport",
		"Dashboards connected now, by how: a WebSocket or Server-Sent Events.", "transport", transports())
	m.byWay = m.gauges("sessions_by_way",
		"Dashboards connected now, by the way in which the person said who they are.", "way", ways())
	m.attempts = m.grid("auth_attempts_total",
		"Attempts to say who one is, by the way and how they ended: accepted, refused, unavailable as the LMS could not be asked, "+
			"or abandoned by whoever asked; the way is none where no credential came.",
		"way", attemptWays(), "outcome", attemptOutcomes())
	m.logged = m.counters("log_messages_total", "Lines to log, also those that repeat and of which only the number is written.", "level", levels())
	m.handshakes = m.counters("handshakes_total",
		"Requests for a dashboard's connection by their outcome: accepted, or the code of the refusal.", "outcome", outcomes())
	m.closes = m.counters("sessions_closed_total", "Sessions that ended, by the reason.", "reason", closeReasons())
	m.signIns = m.counters("sign_ins_total", "Sessions that began, by the way in which the person said who they are.", "way", ways())
	m.revoked = m.counters("credentials_revoked_total",
		"Sessions ended because their credential was taken back or had expired, by its way.", "way", ways())
	m.sent = m.counters("messages_sent_total", "Messages written to sockets.", "type", sentTypes())
	m.sentBytes = m.counters("messages_sent_bytes_total", "Bytes of the messages written to sockets.", "type", sentTypes())
	m.received = m.counters("messages_received_total",
		"Messages read from sockets; other is anything that the protocol does not know.", "type", receivedTypes())
	m.published = m.counters("publish_requests_total",
		"Requests to publish a custom message by their outcome: published, repeated under the same key of idempotency, or the code of the refusal.",
		"outcome", publishOutcomes())
}

// Published tells how a request to publish ended.
func (m *Metrics) Published(outcome string) { m.published.of(outcome).Inc() }

// Applied tells that a transaction was folded and committed, and how long it took.
func (m *Metrics) Applied(took time.Duration) { m.apply.Observe(took.Seconds()) }

// Handshake tells how a request for a dashboard's connection ended.
func (m *Metrics) Handshake(outcome string) { m.handshakes.of(outcome).Inc() }

// Synced tells that the store was made durable, and how long that took.
func (m *Metrics) Synced(took time.Duration) { m.syncs.Observe(took.Seconds()) }

// Committed tells that the store took a batch, and of how many bytes.
func (m *Metrics) Committed(bytes int) { m.batches.Observe(float64(bytes)) }

// SelfChecked tells how long a round of the self-check took that came back.
func (m *Metrics) SelfChecked(took time.Duration) { m.selfCheck.Observe(took.Seconds()) }

// Attempted tells how somebody's saying who they are ended, and by which way they did.
func (m *Metrics) Attempted(way, outcome string) { m.attempts.of(way, outcome).Inc() }

// Opened tells that a session began, by which transport, and by which way the person
// said who they are.
func (m *Metrics) Opened(role, transport, way string) {
	m.sessions.of(role).Inc()
	m.transports.of(transport).Inc()
	m.byWay.of(way).Inc()
}

// Closed tells that a session ended.
func (m *Metrics) Closed(role, transport, way, reason string) {
	m.sessions.of(role).Dec()
	m.transports.of(transport).Dec()
	m.byWay.of(way).Dec()
	m.closes.of(reason).Inc()
}

// SignedIn tells by which way somebody said who they are to open a session.
func (m *Metrics) SignedIn(way string) { m.signIns.of(way).Inc() }

// Revoked tells that a session ends because its credential does not hold any more.
func (m *Metrics) Revoked(way string) { m.revoked.of(way).Inc() }

// Sent tells that messages of one type were written to a socket.
func (m *Metrics) Sent(kind string, messages, bytes int) {
	m.sent.of(kind).Add(float64(messages))
	m.sentBytes.of(kind).Add(float64(bytes))
}

// Delay tells how long after its commit an event was written to a socket. Two
// clocks are compared, so it may be below zero; that counts as zero.
func (m *Metrics) Delay(d time.Duration) { m.delivery.Observe(max(d, 0).Seconds()) }

// Received tells that a client sent a message.
func (m *Metrics) Received(kind string) { m.received.of(kind).Inc() }
