package router

import "github.com/schoolbell/schoolbell/cdc"

// Group is a set of subscriptions that receive the same messages: one person's,
// or all admins'. The zero Group is the admins'.
type Group struct{ person cdc.ID }

// UserGroup is everything that one person has open.
func UserGroup(person cdc.ID) Group { return Group{person: person} }

// MetricsGroup is everything that admins have open.
func MetricsGroup() Group { return Group{} }

// String is the group's name in the dashboard protocol.
func (g Group) String() string {
	if g.person.IsZero() {
		return "dashboard_metrics"
	}
	return "dashboard_user_" + g.person.String()
}

// A place is an index into a group's members; members are removed by moving the
// last one into the hole, so that leaving a group of thousands costs nothing.
type place int

const (
	userPlace place = iota
	metricsPlace
	places
)

const nowhere = -1

func (r *Router) enter(g Group, s *Subscription, at place) {
	s.at[at] = len(r.groups[g])
	r.groups[g] = append(r.groups[g], s)
}

func (r *Router) leave(g Group, s *Subscription, at place) {
	hole := s.at[at]
	if hole == nowhere {
		return
	}
	members := r.groups[g]
	end := len(members) - 1
	members[hole] = members[end]
	members[hole].at[at] = hole
	members[end] = nil
	s.at[at] = nowhere // after the move: s may have been the last one itself
	if end == 0 {
		delete(r.groups, g)
		return
	}
	r.groups[g] = members[:end]
}
