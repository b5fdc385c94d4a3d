package projection

import (
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// emails finds people by their e-mail; nil: nobody is looked for.
type emails map[string][]cdc.ID

// fold makes the letters of ASCII the same in either case, and no others: an e-mail
// that only looks like somebody's, by a letter of another alphabet, is another one.
func (emails) fold(email string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, email)
}

// replace notes that somebody has another e-mail, or none any more.
func (e emails) replace(id cdc.ID, was, now string) {
	if e == nil {
		return
	}
	was, now = e.fold(was), e.fold(now)
	if was == now {
		return
	}
	if was != "" {
		if left := slices.DeleteFunc(e[was], func(other cdc.ID) bool { return other == id }); len(left) > 0 {
			e[was] = left
		} else {
			delete(e, was)
		}
	}
	if now != "" {
		e[now] = append(e[now], id)
	}
}

// ByEmail answers who the active person with an e-mail is, and how many of them have
// it: unless it is one, the person is any of them or none. Upper and lower case are the
// same. It needs Config.Emails.
func (p *Projection) ByEmail(email string) (id cdc.ID, active int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, who := range p.emails[p.emails.fold(email)] {
		if p.people[who].Active {
			id, active = who, active+1
		}
	}
	return id, active
}
