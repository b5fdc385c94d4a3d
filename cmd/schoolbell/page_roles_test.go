package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/school"
	"github.com/schoolbell/schoolbell/wsserver/web/webtest"
)

// firsts notes in the page when something was there for the first time, in ms since the
// navigation began.
const firsts = `(() => {
	const at = window.at = {};
	const note = (what, isSo = true) => { if (isSo) at[what] ??= Math.round(performance.now()); };
	new MutationObserver(() => {
		const tiles = [...document.querySelectorAll('.tile dd:not(.hour)')];
		note('numbers', tiles.length && tiles.every((e) => e.textContent !== '–'));
		note('feed', document.querySelector('#feed > li'));
		note('chart', document.querySelector('.plot canvas'));
		note('assignments', document.querySelector('#assignments tbody tr'));
	}).observe(document, { childList: true, subtree: true, characterData: true });
})()`

// The page of each role, over a school at work. SCHOOLBELL_TEST_SCREENSHOTS=DIR keeps what
// it looks like.
func TestTeacherTutorAndAdminEachSeeWhatIsTheirsOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	s.ready()
	for range 600 {
		_, err := s.school.Step(t.Context(), s.conn)
		require.NoError(t, err)
	}
	teacher := s.school.Teachers[0]
	title := func(n int) string { return fmt.Sprintf("Essay %d: The Winter Palace", n) }
	browser := webtest.Open(t)
	for n, p := range []school.Person{teacher, s.school.Tutors[0], s.school.Admins[0]} {
		page := browser.Tab()
		page.Look(1280, false)
		page.Before(firsts)
		page.Go(s.base() + "/#token=" + p.Token)
		page.WaitState("live")
		page.WaitText("#role", p.Role)
		page.Wait(`document.querySelectorAll('#feed > li').length > 5`) // what happened before
		page.Wait(`document.querySelector('.plot canvas')`)
		page.Wait(`document.querySelectorAll('#assignments tbody tr').length > 0`)
		page.Wait(`document.querySelectorAll('#assignments tbody tr').length ===
			Number(document.querySelector('.tile[data-count="total_assignments"] dd').textContent)`)
		var at map[string]int
		page.Value(`at`, &at)
		t.Logf("%s: there after so many ms: %v", p.Role, at) // which says as much about the machine as about the page

		// Live.
		s.exec(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
			VALUES ($1, '', $2, 'published', now(), now())`, title(n), teacher.ID)
		if p.Role == "tutor" { // of no student of theirs yet
			s.exec(`WITH student AS (SELECT user_id FROM accounts_studentprofile WHERE tutor_id = $2 ORDER BY user_id LIMIT 1),
				essay AS (SELECT id FROM assignments_assignment WHERE title = $1),
				given AS (INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id) SELECT id, user_id FROM essay, student)
				INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
				SELECT id, user_id, '', 'submitted', now(), '', now() FROM essay, student`, title(n), p.ID)
			page.WaitText("#feed > li p", "handed in "+title(n))
		} else {
			page.WaitRow("New assignment: " + title(n))
		}
		page.WaitText("#assignments tbody", title(n))
		page.Wait(`document.querySelector('.tile[data-count="total_assignments"] .hour').textContent.trim() !== ''`)
		page.Screenshot("role-" + p.Role)
		page.Look(1280, true)
		page.Screenshot("role-" + p.Role + "-dark")
		page.Look(360, false)
		page.Wait(`document.documentElement.scrollWidth <= 360`)
		page.Screenshot("role-" + p.Role + "-360")
		page.Look(1280, false)
		require.Empty(t, page.Barriers(), p.Role)

		// Nothing secret stays in the address, and a reload needs nothing in it.
		require.NotContains(t, page.URL(), p.Token)
		page.Reload()
		page.WaitState("live")
		page.WaitText("#feed", title(n))
		require.NotContains(t, page.URL(), p.Token)
		// What is drawn late moves what is below it from under the mouse.
		page.WaitText("#assignments tbody", title(n))
		page.Wait(`document.querySelector('.plot canvas')`)
		page.Click("#measure")
		page.WaitText("#latency", "ms")

		// One assignment has a page of its own.
		page.Click(`#assignments tbody a`)
		page.Wait(`!document.querySelector('#one .there').hidden && document.querySelector('#one-title').textContent`)
		page.Wait(`document.querySelector('#one .plot canvas')`)
		page.Screenshot("assignment-" + p.Role)
		require.Empty(t, page.Barriers(), p.Role)
		require.Empty(t, page.Faults())
	}
}
