package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// other is the label value of everything that nobody foresaw.
const other = "other"

// counters are one counter per known value of a label.
type counters map[string]prometheus.Counter

func (c counters) of(value string) prometheus.Counter {
	if one, ok := c[value]; ok {
		return one
	}
	return c[other]
}

// grid are one counter per pair of known values of two labels.
type grid map[string]counters

func (g grid) of(row, column string) prometheus.Counter {
	if one, ok := g[row]; ok {
		return one.of(column)
	}
	return g[other].of(column)
}

// gauges are one gauge per known value of a label.
type gauges map[string]prometheus.Gauge

func (g gauges) of(value string) prometheus.Gauge {
	if one, ok := g[value]; ok {
		return one
	}
	return g[other]
}

func (m *Metrics) counters(name, help, label string, values []string) counters {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{label})
	m.registry.MustRegister(vec)
	c := counters{}
	for _, v := range withOther(values) {
		c[v] = vec.WithLabelValues(v)
	}
	return c
}

func (m *Metrics) grid(name, help, row string, rows []string, column string, columns []string) grid {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{row, column})
	m.registry.MustRegister(vec)
	g := grid{}
	for _, r := range withOther(rows) {
		g[r] = counters{}
		for _, c := range withOther(columns) {
			g[r][c] = vec.WithLabelValues(r, c)
		}
	}
	return g
}

func (m *Metrics) gauges(name, help, label string, values []string) gauges {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, []string{label})
	m.registry.MustRegister(vec)
	g := gauges{}
	for _, v := range withOther(values) {
		g[v] = vec.WithLabelValues(v)
	}
	return g
}

// histogram makes one that has the given buckets for every Prometheus, and the
// native form for those that scrape it.
func (m *Metrics) histogram(name, help string, buckets ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: prefix + name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	})
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) registerInfo(info Info) {
	for _, one := range []struct {
		name, help string
		labels     prometheus.Labels
	}{
		{"build_info", "Which binary runs; always 1.", prometheus.Labels{
			"version": info.Version, "revision": info.Revision, "goversion": info.GoVersion,
		}},
		{"config_info", "What the process was told to read; always 1.", prometheus.Labels{
			"profile": info.Profile, "profile_hash": info.ProfileHash,
			"slot": info.Slot, "publication": info.Publication,
		}},
	} {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + one.name, Help: one.help, ConstLabels: one.labels})
		g.Set(1)
		m.registry.MustRegister(g)
	}
}

// A section is the instruments that are read from one source. The source is
// called once per scrape, so that what stands on one page belongs together.
type section[S any] struct {
	source      func() S
	instruments []scraped[S]
}

// scraped is an instrument that has no memory of its own.
type scraped[S any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(state S, emit func(value float64, labels ...string))
}

// Describe is for the registry.
func (s section[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, i := range s.instruments {
		ch <- i.desc
	}
}

// Collect is for the registry; it runs at every scrape.
func (s section[S]) Collect(ch chan<- prometheus.Metric) {
	var state S
	if s.source != nil {
		state = s.source()
	}
	for _, i := range s.instruments {
		i.read(state, func(value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(i.desc, i.kind, value, labels...)
		})
	}
}

func newScraped[S any](kind prometheus.ValueType, name, help string, labels []string,
	read func(S, func(float64, ...string)),
) scraped[S] {
	return scraped[S]{desc: prometheus.NewDesc(prefix+name, help, labels, nil), kind: kind, read: read}
}

// number is what sources count in.
type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func gauge[S any, N number](name, help string, read func(S) N) scraped[S] {
	return newScraped(prometheus.GaugeValue, name, help, nil, func(s S, emit func(float64, ...string)) {
		emit(float64(read(s)))
	})
}

func counter[S any, N number](name, help string, read func(S) N) scraped[S] {
	return newScraped(prometheus.CounterValue, name, help, nil, func(s S, emit func(float64, ...string)) {
		emit(float64(read(s)))
	})
}

// countersBy is one counter per known value of a label.
func countersBy[S any, N number](name, help, label string, values []string, read func(S) map[string]N) scraped[S] {
	return newScraped(prometheus.CounterValue, name, help, []string{label}, func(s S, emit func(float64, ...string)) {
		all := withOther(values)
		sums := map[string]N{}
		for value, n := range read(s) {
			sums[known(all, value)] += n
		}
		for _, value := range all {
			emit(float64(sums[value]), value)
		}
	})
}

// stateOf is one gauge per known state: 1 for the one that holds, 0 for the rest.
func stateOf[S any](name, help, label string, values []string, read func(S) string) scraped[S] {
	return newScraped(prometheus.GaugeValue, name, help, []string{label}, func(s S, emit func(float64, ...string)) {
		all := withOther(values)
		now := read(s)
		for _, value := range all {
			emit(truth(now != "" && value == known(all, now)), value)
		}
	})
}

func known(values []string, value string) string {
	if slices.Contains(values, value) {
		return value
	}
	return other
}

func withOther(values []string) []string { return append(slices.Clip(values), other) }

// truth is how Prometheus writes a bool.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
