package router

import (
	"errors"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// Why a subscription has ended. Take returns one of them, and the session turns
// it into a close code.
var (
	// ErrSlow: the queue was full. Nothing is lost: reconnect and resume.
	ErrSlow = errors.New("the subscriber is too slow: its queue was full; reconnect and resume from the last id")
	// ErrUnreadable: the history could not be read now. Nothing that the subscriber has
	// is wrong: reconnect and resume from the last position.
	ErrUnreadable = errors.New("the history cannot be read; reconnect and resume from the last id")
	// ErrInactive: the account was deactivated or is gone.
	ErrInactive = errors.New("the account is not active")
	// ErrRole: the person's role may not see a dashboard.
	ErrRole = errors.New("the role may not see a dashboard")
	// ErrClosed: the subscriber closed it.
	ErrClosed = errors.New("the subscription was closed by its owner")
	// ErrNotStarted: Start has not been called, so there is no cursor to join at.
	ErrNotStarted = errors.New("the router has no position yet; wait until the snapshot is done")
)

// Admits says whether somebody may subscribe: nil, ErrInactive or ErrRole.
func (r *Router) Admits(p cdc.Person) error {
	switch {
	case !p.Active:
		return ErrInactive
	case !slices.Contains(r.cfg.Roles, p.Role):
		return ErrRole
	}
	return nil
}

// Roles are those that may subscribe.
func (r *Router) Roles() []cdc.Role { return slices.Clone(r.cfg.Roles) }

// applyRights ends or moves what somebody has open. The caller holds r.mu.
func (r *Router) applyRights(p cdc.Person) {
	for _, s := range r.groups[UserGroup(p.ID)] {
		if err := r.Admits(p); err != nil {
			s.mu.Lock()
			r.end(s, err)
			s.mu.Unlock()
			r.revoked.Add(1)
			continue
		}
		admin := p.Role == cdc.Admin
		s.mu.Lock()
		was := s.admin
		s.admin = admin // what is queued happened before, when they could see it
		s.mu.Unlock()
		switch {
		case admin && !was:
			r.enter(MetricsGroup(), s, metricsPlace)
		case was && !admin:
			r.leave(MetricsGroup(), s, metricsPlace)
		}
	}
}
