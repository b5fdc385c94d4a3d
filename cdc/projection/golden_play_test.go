package projection_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
)

// goldenPlay is a story while it is told.
type goldenPlay struct {
	t       *testing.T
	gateway *gateway
	db      *goldenTables
	at      cdc.LSN       // of the last commit
	passed  time.Duration // the clock of the log, since goldenStart
	names   map[cdc.ID]string
}

// goldenStart is when the first snapshot is taken.
func goldenStart() time.Time { return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC) }

func (d *goldenTables) snapshot(at cdc.LSN, clock time.Time) *cdc.Snapshot {
	return &cdc.Snapshot{At: at, Time: clock, Rows: d.rows}
}

func (p *goldenPlay) clock() time.Time { return goldenStart().Add(p.passed) }

// commit plays the lines of a commit.
func (p *goldenPlay) commit(lines []string) {
	p.remember()
	p.passed += time.Second
	moment, moves := "", false
	if len(lines) > 0 {
		moment, moves = strings.CutPrefix(lines[0], "clock ")
	}
	if moves {
		to, err := time.Parse(time.RFC3339, moment)
		require.NoError(p.t, err, lines[0])
		require.False(p.t, to.Before(p.clock()), "%s: it is %v already", lines[0], p.clock())
		p.passed, lines = to.Sub(goldenStart()), lines[1:]
	}
	p.at += 10
	if moves && len(lines) == 0 {
		p.gateway.Advance(p.at, p.clock())
		_, err := p.gateway.Sync(p.t.Context())
		require.NoError(p.t, err)
		return
	}
	for _, line := range lines {
		p.db.change(line)
	}
	changes := p.db.take()
	tx := &cdc.Tx{Commit: p.at, CommitTime: p.clock()}
	tx.Changes = func(yield func(*cdc.Change, error) bool) {
		for i := range changes {
			if !yield(&changes[i], nil) {
				return
			}
		}
		tx.End = tx.Commit + 1
	}
	require.NoError(p.t, p.gateway.Apply(p.t.Context(), tx))
	p.remember()
}

func (p *goldenPlay) restart() {
	_, err := p.gateway.Sync(p.t.Context())
	require.NoError(p.t, err)
	p.gateway.close()
	p.gateway.open()
}

// accounts are the keys of everybody with an account.
func (p *goldenPlay) accounts() []cdc.ID {
	_, name := p.gateway.profile.Accounts()
	var ids []cdc.ID
	for _, key := range p.db.tables[name].order {
		ids = append(ids, cdc.ParseID(key))
	}
	return ids
}

// remember notes what people are called, for when their account is gone.
func (p *goldenPlay) remember() {
	if p.names == nil {
		p.names = map[cdc.ID]string{}
	}
	for _, id := range p.accounts() {
		if person, ok := p.gateway.Person(id); ok {
			p.names[id] = strings.TrimSpace(person.FirstName + " " + person.LastName)
		}
	}
}

// events are the lines of what was told since they were asked for.
func (p *goldenPlay) events() []byte {
	var b bytes.Buffer
	for _, r := range p.gateway.published {
		for _, person := range r.People {
			fmt.Fprintf(&b, "%s %s\n", p.name(person.ID), becomes(person))
		}
		for _, e := range r.Events {
			b.WriteString(p.line(e) + "\n")
		}
	}
	p.gateway.published = nil
	if b.Len() == 0 {
		return []byte("nothing\n")
	}
	return b.Bytes()
}

func becomes(p cdc.Person) string {
	switch {
	case !p.Active:
		return "is shut out"
	case p.Role == cdc.NoRole:
		return "is nobody now"
	case p.Role == cdc.Admin:
		return "is an admin now"
	}
	return "is a " + p.Role.String() + " now"
}

func (p *goldenPlay) name(id cdc.ID) string { return cmp.Or(p.names[id], "person "+id.String()) }

// goldenMessage is what a client reads of an event.
type goldenMessage struct {
	Title           string  `json:"title"`
	AssignmentTitle string  `json:"assignment_title"`
	Description     string  `json:"description"`
	DueDate         *string `json:"due_date"`
	Student         struct {
		ID    json.RawMessage `json:"id"`
		First string          `json:"first_name"`
		Last  string          `json:"last_name"`
	} `json:"student"`
	Group     *struct{ Name string } `json:"group"`
	Grade     json.RawMessage        `json:"grade"`
	Automatic bool                   `json:"automatic"`
}

// line is an event as a story has it.
func (p *goldenPlay) line(e *cdc.Event) string {
	var m goldenMessage
	require.NoError(p.t, json.Unmarshal(e.Body, &m), string(e.Body))
	text := ""
	switch e.Kind {
	case cdc.Assignment:
		text = fmt.Sprintf("assignment %q", m.Title)
		if m.DueDate != nil {
			text += " due " + strings.Replace(*m.DueDate, ".000000Z", "Z", 1)
		}
		if m.Description != "" {
			text += fmt.Sprintf(": %q", m.Description)
		}
	case cdc.AssignmentClosed:
		text = fmt.Sprintf("closing of %q", m.AssignmentTitle)
	case cdc.Submission:
		text = fmt.Sprintf("submission of %q by %s", m.AssignmentTitle, m.whose())
	case cdc.Grade:
		text = fmt.Sprintf("grade %s of %q for %s", m.grade(), m.AssignmentTitle, m.whose())
		if m.Automatic {
			text = "automatic " + text
		}
	}
	return text + " to " + p.audience(e.Audience)
}

// grade is the grade; a number is that number, however many noughts the LMS writes behind it.
func (m *goldenMessage) grade() string {
	if n, err := strconv.ParseFloat(string(m.Grade), 64); err == nil {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return string(m.Grade)
}

func (m *goldenMessage) whose() string {
	name := strings.TrimSpace(m.Student.First + " " + m.Student.Last)
	switch {
	case string(m.Student.ID) != "null":
		return name
	case m.Group != nil:
		return "the team " + m.Group.Name
	}
	return cmp.Or(name, "somebody")
}

// audience is like "teacher Tom Weber, tutor Uma Khan, admins".
func (p *goldenPlay) audience(a cdc.Audience) string {
	people := slices.Clone(a.People)
	role := func(id cdc.ID) cdc.Role {
		person, _ := p.gateway.Person(id)
		return person.Role
	}
	slices.SortFunc(people, func(a, b cdc.ID) int {
		return cmp.Or(cmp.Compare(role(b), role(a)), strings.Compare(p.name(a), p.name(b)))
	})
	var all []string
	for _, id := range people {
		all = append(all, role(id).String()+" "+p.name(id))
	}
	if a.Admins {
		all = append(all, "admins")
	}
	return cmp.Or(strings.Join(all, ", "), "nobody")
}

// counts are the lines of what the dashboards of the people say whom lines name.
func (p *goldenPlay) counts(lines []string) []byte {
	var b bytes.Buffer
	for _, line := range lines {
		name, person := p.called(line)
		c := p.gateway.Counts(person)
		fmt.Fprintf(&b, "%s: pending %d, ungraded %d, students %d, assignments %d\n", name,
			c.PendingSubmissions, c.UngradedSubmissions, c.ActiveStudents, c.TotalAssignments)
	}
	return b.Bytes()
}

// people are the lines of what the people are whom lines name.
func (p *goldenPlay) people(lines []string) []byte {
	var b bytes.Buffer
	for _, line := range lines {
		name, person := p.called(line)
		b.WriteString(strings.TrimSpace(fmt.Sprintf("%s: %s %s", name, person.Role, person.Email)) + "\n")
	}
	return b.Bytes()
}

// called is whom a line begins with, by the first name or the whole.
func (p *goldenPlay) called(line string) (string, cdc.Person) {
	p.remember()
	name, _, _ := strings.Cut(line, ":")
	var found []cdc.Person
	for _, id := range p.accounts() {
		if person, ok := p.gateway.Person(id); ok && (p.name(id) == name || strings.HasPrefix(p.name(id), name+" ")) {
			found = append(found, person)
		}
	}
	require.Len(p.t, found, 1, "people called %q", name)
	return name, found[0]
}

// compareWithSnapshot takes a snapshot of the story's last rows: it has no news, and says of
// everybody what the log did, to who remembers the story and to who does not.
func (p *goldenPlay) compareWithSnapshot() {
	snapshot := func() *cdc.Snapshot { return p.db.snapshot(p.at+5, p.clock()) }
	type standing struct {
		Person cdc.Person
		Counts cdc.Counts
	}
	standings := func(g *gateway) map[string]standing {
		all := map[string]standing{}
		for _, id := range p.accounts() {
			if person, ok := g.Person(id); ok {
				all[p.name(id)] = standing{person, g.Counts(person)}
			}
		}
		return all
	}
	want := standings(p.gateway)
	fresh := &gateway{t: p.t, dir: p.t.TempDir(), rows: p.gateway.rows, students: p.gateway.students, profile: p.gateway.profile}
	fresh.open()
	defer fresh.close()
	require.NoError(p.t, fresh.reset(snapshot()))
	require.Equal(p.t, want, standings(fresh), "a first snapshot says the same as the log")

	p.gateway.published = nil
	require.NoError(p.t, p.gateway.reset(snapshot()))
	require.Equal(p.t, "nothing\n", string(p.events()), "a snapshot after the log has no news")
	require.Equal(p.t, want, standings(p.gateway), "a snapshot after the log says the same")
}
