package wsserver

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

// Handler serves everything: the socket, the stream, their HTTP companions, what services
// publish, health and the page.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/dashboard", s.serveSocket)
	mux.HandleFunc("GET /ws/dashboard/{$}", s.serveSocket)
	mux.HandleFunc("GET /sse/dashboard", s.serveStream)
	mux.HandleFunc("GET /sse/dashboard/{$}", s.serveStream)
	mux.HandleFunc("OPTIONS /sse/", s.servePreflight)
	mux.HandleFunc("GET /api/session", s.serveSession)
	mux.HandleFunc("GET /api/events", s.serveEvents)
	mux.HandleFunc("GET /api/assignments", s.serveAssignments)
	mux.HandleFunc("GET /api/assignments/{id}", s.serveAssignment)
	mux.HandleFunc("GET /api/activity", s.serveActivity)
	mux.HandleFunc("OPTIONS /api/", s.servePreflight)
	mux.HandleFunc("POST /api/publish", s.servePublish)
	mux.HandleFunc("GET /api/publish", s.servePublish)     // to say that it is POST
	mux.HandleFunc("OPTIONS /api/publish", s.servePublish) // to allow no page anything
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
	if s.deps.Page != nil {
		mux.Handle("/", s.deps.Page)
	}
	return harden(mux)
}

// harden sets what every answer should say to a browser. A page that needs more
// room says so itself.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer") // an address may hold a token
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // CORS, where it is allowed, is not concerned
		next.ServeHTTP(w, r)
	})
}

func sendJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// share lets a page of an allowed origin read the answer.
func (s *Server) share(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" && s.originAllowed(r) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
}

func (s *Server) servePreflight(w http.ResponseWriter, r *http.Request) {
	s.share(w, r)
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Last-Event-ID")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// serveSession answers what the upgrade would: browsers hide that from scripts.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	s.share(w, r)
	v, no := s.admit(r)
	if no == nil {
		no = s.reserve(v.person.ID, v.address)
	}
	if no != nil {
		s.refuse(w, r, no)
		return
	}
	s.release(v.person.ID, v.address)
	body := appendPerson([]byte{'{'}, v.person)
	body = appendCursor(body, s.deps.Router.Cursor())
	sendJSON(w, http.StatusOK, append(appendExpires(body, v.identity.Expires), '}'))
}

const (
	defaultPage = 100
	largestPage = 1000
)

// serveEvents gives a page of somebody's history.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	s.share(w, r)
	v, no := s.admit(r)
	if no == nil {
		s.limits.noHandshake(v.question)
	}
	limit := defaultPage
	if text := r.URL.Query().Get("limit"); no == nil && text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > largestPage {
			no = badRequest("limit: want a number from 1 to " + strconv.Itoa(largestPage))
		}
		limit = n
	}
	if no != nil {
		s.refuse(w, r, no)
		return
	}
	page, err := s.deps.Router.Page(r.Context(), v.person, v.filter, v.since, limit)
	switch {
	case errors.Is(err, router.ErrNotStarted):
		s.refuse(w, r, s.refusalOf(err))
		return
	case r.Context().Err() != nil:
		return // nobody listens any more
	case err != nil:
		s.deps.Log.Error("cannot read the history", "user", v.person.ID, "err", err)
		s.refuse(w, r, notReady("the history cannot be read at the moment"))
		return
	}
	sendJSON(w, http.StatusOK, appendPage(nil, page))
}

func appendPage(dst []byte, page router.Page) []byte {
	dst = append(dst, `{"events":[`...)
	for i, m := range page.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m.Body...)
	}
	dst = append(dst, `],"cursor":"`...)
	dst = page.Cursor.Append(dst)
	dst = append(dst, `","more":`...)
	dst = strconv.AppendBool(dst, page.More)
	dst = append(dst, `,"gap":`...)
	if page.Gap == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, page.Gap.Body...)
	}
	return append(dst, '}')
}

// serveReady says whether live events are served, and if not, why.
func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	ready := true
	body := []byte(`"checks":{`)
	checks := append([]Check{{
		Name: "accepting", OK: !s.draining.Load(), Detail: "the gateway is shutting down",
	}}, s.deps.Ready()...)
	for i, check := range checks {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(cdc.AppendJSONString(body, check.Name), `:{"ok":`...)
		body = strconv.AppendBool(body, check.OK)
		if !check.OK {
			ready = false
			body = append(body, `,"detail":`...)
			body = cdc.AppendJSONString(body, check.Detail)
		}
		if check.Advice != "" {
			body = append(body, `,"advice":`...)
			body = cdc.AppendJSONString(body, check.Advice)
		}
		body = append(body, '}')
	}
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	head := strconv.AppendBool([]byte(`{"ready":`), ready)
	sendJSON(w, status, append(append(append(head, ','), body...), '}', '}'))
}
