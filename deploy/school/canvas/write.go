package canvas

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/schoolbell/schoolbell/deploy/school"
)

const submissionColumns = "id body grade score submitted_at assignment_id user_id submission_type workflow_state created_at updated_at " +
	"grade_matches_current_submission published_score published_grade graded_at grader_id attempt turnitin_data cached_due_date excused " +
	"anonymous_id posted_at cached_quiz_lti course_id root_account_id redo_request"

// write copies what the term collected into the tables.
func (t *term) write(ctx context.Context, tx pgx.Tx) error {
	s, at := t.school, t.begun()
	accounts := [][]any{
		{int64(rootAccount), "The school", at, at, nil, int64(rootAccount), s.random.Hex(40)},
		{int64(lowerSchool), "Lower school", at, at, int64(rootAccount), int64(rootAccount), s.random.Hex(40)},
		{int64(upperSchool), "Upper school", at, at, int64(rootAccount), int64(rootAccount), s.random.Hex(40)},
	}
	var roles, users, channels, accountUsers [][]any
	for i, name := range []string{"StudentEnrollment", "TeacherEnrollment", "TaEnrollment", "DesignerEnrollment", "ObserverEnrollment", "AccountAdmin"} {
		roles = append(roles, []any{int64(i + 1), name, name, nil, "built_in", at, at, int64(rootAccount)})
	}
	for i, p := range s.everybody() {
		state := "registered"
		if p.Role == "student" && i%30 == 29 {
			state = "pre_registered" // has not logged in yet
		}
		name := p.FirstName + " " + p.LastName
		users = append(users, []any{p.ID, name, p.LastName + ", " + p.FirstName, p.FirstName, state, s.random.Hex(40), at, at, []int64{rootAccount}})
		// The first is the one to write to, unless another has a lower position.
		channels = append(channels, []any{int64(len(channels) + 1), p.Email, "email", 1, p.ID, "active", at, at, []int64{rootAccount}})
		if i%4 == 3 {
			channels = append(channels, []any{int64(len(channels) + 1), "+4930" + s.random.Hex(6) + "@sms.example", "sms", 2, p.ID, "active", at, at, []int64{rootAccount}})
		}
		if i%5 == 4 {
			channels = append(channels, []any{int64(len(channels) + 1), "home." + p.Email, "email", 3, p.ID, "unconfirmed", at, at, []int64{rootAccount}})
		}
	}
	for _, p := range s.Admins {
		accountUsers = append(accountUsers, []any{int64(len(accountUsers) + 1), int64(rootAccount), p.ID, at, at, int64(adminRole), "active", int64(rootAccount)})
	}
	for i, p := range s.Deans {
		accountUsers = append(accountUsers, []any{int64(len(accountUsers) + 1), int64(lowerSchool + i%2), p.ID, at, at, int64(adminRole), "active", int64(rootAccount)})
	}
	for _, table := range []struct {
		name    string
		columns string
		rows    [][]any
	}{
		{"accounts", "id name created_at updated_at parent_account_id root_account_id uuid", accounts},
		{"roles", "id name base_role_type account_id workflow_state created_at updated_at root_account_id", roles},
		{"users", "id name sortable_name short_name workflow_state uuid created_at updated_at root_account_ids", users},
		{"communication_channels", "id path path_type position user_id workflow_state created_at updated_at root_account_ids", channels},
		{"account_users", "id account_id user_id created_at updated_at role_id workflow_state root_account_id", accountUsers},
		{"courses", "id name account_id workflow_state uuid created_at updated_at course_code root_account_id enrollment_term_id", t.courses},
		{"course_sections", "id course_id root_account_id name default_section created_at updated_at", t.sections},
		{"course_account_associations", "id course_id account_id depth created_at updated_at course_section_id root_account_id", t.associations},
		{"enrollments", "id user_id course_id type uuid workflow_state created_at updated_at course_section_id root_account_id limit_privileges_to_course_section role_id", t.enrollments},
		{"assignments", "id title description due_at lock_at points_possible grading_type submission_types workflow_state context_id context_type created_at updated_at root_account_id", t.assignments},
		{"submissions", submissionColumns, t.subs},
		{"versions", "id versionable_id versionable_type number yaml created_at", t.versions},
	} {
		if err := school.Load(ctx, tx, table.name, strings.Fields(table.columns), table.rows); err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
		}
	}
	return nil
}
