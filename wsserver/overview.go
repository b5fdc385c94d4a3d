package wsserver

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

// What a page shows besides what happens: how things stand with each assignment, and how
// much happened when. Both are counted when somebody asks, from what the gateway keeps and
// never from the LMS's database; so nobody may have two counted at a time.

const (
	largestList   = 200 // assignments in one answer
	mostBuckets   = 500 // of activity
	shortestStep  = time.Second
	longestStep   = 7 * 24 * time.Hour
	askAgainAfter = time.Second
)

// asking is who has something counted right now.
type asking struct {
	mu     sync.Mutex
	people map[cdc.ID]bool // guarded by mu
}

// begin answers false where one of somebody's is under way.
func (a *asking) begin(person cdc.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.people[person] {
		return false
	}
	if a.people == nil {
		a.people = make(map[cdc.ID]bool)
	}
	a.people[person] = true
	return true
}

func (a *asking) end(person cdc.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.people, person)
}

// counted lets whoever may connect have something counted, one at a time.
func (s *Server) counted(w http.ResponseWriter, r *http.Request, count func(v visitor) ([]byte, *refusal, error)) {
	s.share(w, r)
	v, no := s.admit(r)
	if no != nil {
		s.refuse(w, r, no)
		return
	}
	s.limits.noHandshake(v.question)
	if !s.asking.begin(v.person.ID) {
		s.refuse(w, r, &refusal{
			status: http.StatusTooManyRequests, code: "too_many_requests", retry: true, wait: askAgainAfter,
			detail: "another overview of yours is being counted: ask for one at a time",
		})
		return
	}
	defer s.asking.end(v.person.ID)
	body, no, err := count(v)
	switch {
	case r.Context().Err() != nil: // nobody listens any more
	case errors.Is(err, router.ErrNotStarted):
		s.refuse(w, r, s.refusalOf(err))
	case err != nil:
		s.deps.Log.Error("cannot count an overview", "path", r.URL.Path, "user", v.person.ID, "err", err)
		s.refuse(w, r, notReady("the overview cannot be counted at the moment"))
	case no != nil:
		s.refuse(w, r, no)
	default:
		sendJSON(w, http.StatusOK, body)
	}
}

func notFound(detail string) *refusal {
	return &refusal{status: http.StatusNotFound, code: "not_found", detail: detail}
}

// serveAssignments lists somebody's assignments, the newest first.
func (s *Server) serveAssignments(w http.ResponseWriter, r *http.Request) {
	s.counted(w, r, func(v visitor) ([]byte, *refusal, error) {
		if s.deps.Overview == nil {
			return nil, notFound("this gateway keeps no overview of assignments"), nil
		}
		query := r.URL.Query()
		before := cdc.ParseID(query.Get("before"))
		limit, err := strconv.Atoi(query.Get("limit"))
		if !query.Has("limit") {
			limit, err = defaultPage, nil
		}
		if err != nil || limit < 1 || limit > largestList {
			return nil, badRequest("limit: want a number from 1 to " + strconv.Itoa(largestList)), nil
		}
		views, err := s.deps.Overview.Assignments(r.Context(), v.person, before, limit)
		if err != nil {
			return nil, nil, err
		}
		body := []byte(`{"assignments":[`)
		next := cdc.ID{}
		for i, view := range views {
			if i > 0 {
				body = append(body, ',')
			}
			body = appendView(body, view)
			next = view.ID
		}
		body = append(body, `],"before":`...)
		if len(views) < limit {
			next = cdc.ID{}
		}
		return append(appendID(body, next), '}'), nil, nil
	})
}

// serveAssignment is one of them.
func (s *Server) serveAssignment(w http.ResponseWriter, r *http.Request) {
	s.counted(w, r, func(v visitor) ([]byte, *refusal, error) {
		const none = "there is no such assignment, or it is not one of yours"
		id := cdc.ParseID(r.PathValue("id"))
		if s.deps.Overview == nil || id.IsZero() {
			return nil, notFound(none), nil
		}
		view, sees, err := s.deps.Overview.Assignment(r.Context(), v.person, id)
		if err != nil {
			return nil, nil, err
		}
		if !sees {
			return nil, notFound(none), nil
		}
		return appendView(nil, view), nil, nil
	})
}

func appendView(dst []byte, v cdc.AssignmentView) []byte {
	dst = appendID(append(dst, `{"assignment_id":`...), v.ID)
	dst = appendID(append(dst, `,"course_id":`...), v.Course)
	dst = cdc.AppendJSONString(append(dst, `,"title":`...), v.Title)
	dst = appendMoment(append(dst, `,"due_date":`...), v.Due)
	dst = appendMoment(append(dst, `,"closes":`...), v.Closes)
	dst = strconv.AppendBool(append(dst, `,"open":`...), v.Open)
	dst = strconv.AppendInt(append(dst, `,"pending":`...), v.Pending, 10)
	dst = strconv.AppendInt(append(dst, `,"ungraded":`...), v.Ungraded, 10)
	dst = strconv.AppendInt(append(dst, `,"graded":`...), v.Graded, 10)
	return append(dst, '}')
}

func appendID(dst []byte, id cdc.ID) []byte {
	if id.IsZero() {
		return append(dst, "null"...)
	}
	return id.AppendJSON(dst)
}

func appendMoment(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return append(dst, "null"...)
	}
	return cdc.AppendJSONTime(dst, at)
}

// serveActivity says how much of what somebody sees happened when.
func (s *Server) serveActivity(w http.ResponseWriter, r *http.Request) {
	s.counted(w, r, func(v visitor) ([]byte, *refusal, error) {
		from, step, no := spanOf(r)
		if no != nil {
			return nil, no, nil
		}
		steps := int(time.Since(from)/step) + 1
		if steps > mostBuckets {
			return nil, badRequest("step: " + strconv.Itoa(steps) + " steps lie between from and now, want at most " +
				strconv.Itoa(mostBuckets) + "; make the step longer, or begin later"), nil
		}
		a, err := s.deps.Router.Activity(r.Context(), v.person, v.filter, from, step, steps)
		if err != nil {
			return nil, nil, err
		}
		return appendActivity(nil, a, from, step), nil, nil
	})
}

// spanOf reads from when on something is to be counted, and in which steps.
func spanOf(r *http.Request) (from time.Time, step time.Duration, no *refusal) {
	query := r.URL.Query()
	from, err := time.Parse(time.RFC3339, query.Get("from"))
	if err != nil || from.After(time.Now()) {
		return from, 0, badRequest("from: want a time that has been, like 2026-11-22T21:05:11Z")
	}
	seconds, err := strconv.Atoi(query.Get("step"))
	step = time.Duration(seconds) * time.Second
	if err != nil || seconds > int(longestStep/time.Second) || step < shortestStep {
		return from, 0, badRequest("step: want a number of seconds, from 1 to " + strconv.Itoa(int(longestStep/time.Second)))
	}
	return from, step, nil
}

func appendActivity(dst []byte, a router.Activity, from time.Time, step time.Duration) []byte {
	dst = cdc.AppendJSONTime(append(dst, `{"from":`...), from)
	dst = strconv.AppendInt(append(dst, `,"step":`...), int64(step/time.Second), 10)
	dst = append(dst, `,"counts":{`...)
	first := true
	for _, kind := range cdc.Kinds {
		counts := a.Counts[kind]
		if counts == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(append(dst, '"'), kind.String()...), `":[`...)
		for i, n := range counts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(n), 10)
		}
		dst = append(dst, ']')
	}
	dst = a.Recent.Append(append(dst, `},"recent":"`...))
	dst = append(dst, '"')
	dst = appendCursor(dst, a.Cursor)
	dst = strconv.AppendBool(append(dst, `,"complete":`...), a.Complete)
	return append(dst, '}')
}
