-- A Canvas in which random things happen, in the tables of deploy/school/canvas. Random
-- enrolments may repeat, which Canvas does not let them.
DROP INDEX index_enrollments_on_user_type_role_section;
CREATE TABLE tokens (key text PRIMARY KEY, person_id bigint NOT NULL);

-- The root account, three in it, and one in the first of those.
INSERT INTO accounts (id, name, created_at, updated_at, parent_account_id, root_account_id)
SELECT i, 'Account ' || i, '2026-01-01', '2026-01-01', CASE WHEN i = 5 THEN 2 WHEN i > 1 THEN 1 END, 1 FROM generate_series(1, 5) i;
INSERT INTO roles (id, name, base_role_type, workflow_state, created_at, updated_at, root_account_id)
SELECT i, r, r, 'built_in', '2026-01-01', '2026-01-01', 1
FROM unnest(array['StudentEnrollment', 'TeacherEnrollment', 'TaEnrollment', 'DesignerEnrollment', 'ObserverEnrollment', 'AccountAdmin']) WITH ORDINALITY x (r, i);

-- 210 people: 8 admins of the root account, 8 of one below, of whom some teach as well, 38
-- teachers, 46 assistants and 110 students. Ten courses of three sections.
INSERT INTO users (id, name, workflow_state, created_at, updated_at, root_account_ids)
SELECT i, 'Person ' || i, CASE WHEN i % 29 = 0 THEN 'pre_registered' ELSE 'registered' END, '2026-01-01', '2026-01-01', '{1}' FROM generate_series(1, 210) i;
INSERT INTO communication_channels (path, path_type, position, user_id, workflow_state, created_at, updated_at)
SELECT 'p' || i || '.' || n || '@canvas.example', CASE WHEN (i + n) % 6 = 0 THEN 'sms' ELSE 'email' END, n, i, CASE WHEN (i + n) % 5 = 0 THEN 'unconfirmed' ELSE 'active' END, '2026-01-01', '2026-01-01'
FROM generate_series(1, 210) i, generate_series(1, 3) n WHERE i % 10 > 0 OR n > 1;
INSERT INTO tokens SELECT 'token-of-' || i, i FROM generate_series(1, 210) i;
INSERT INTO account_users (account_id, user_id, created_at, updated_at, role_id, root_account_id)
SELECT CASE WHEN i <= 8 THEN 1 ELSE 2 + i % 4 END, i, '2026-01-01', '2026-01-01', 6, 1 FROM generate_series(1, 16) i;
INSERT INTO courses (id, name, account_id, workflow_state, created_at, updated_at, root_account_id, enrollment_term_id)
SELECT i, 'Course ' || i, 2 + i % 4, CASE i WHEN 10 THEN 'claimed' WHEN 9 THEN 'completed' ELSE 'available' END, '2026-01-01', '2026-01-01', 1, 1 FROM generate_series(1, 10) i;
INSERT INTO course_sections (id, course_id, root_account_id, name, created_at, updated_at)
SELECT 10 * c + n, c, 1, 'Section ' || n, '2026-01-01', '2026-01-01' FROM generate_series(1, 10) c, generate_series(0, 2) n;
-- What is above each course: its account, those above that, and again for a section.
INSERT INTO course_account_associations (course_id, account_id, depth, created_at, updated_at, course_section_id, root_account_id)
WITH RECURSIVE above AS (
    SELECT id AS course, account_id, 0 AS depth FROM courses
    UNION ALL SELECT course, a.parent_account_id, depth + 1 FROM above JOIN accounts a ON a.id = account_id WHERE a.parent_account_id IS NOT NULL
)
SELECT course, account_id, depth, '2026-01-01'::timestamp, '2026-01-01', section, 1 FROM above, unnest(array[NULL, 10 * course + 1]) section;
INSERT INTO enrollments (user_id, course_id, course_section_id, type, role_id, workflow_state, limit_privileges_to_course_section, created_at, updated_at, root_account_id)
SELECT i, c, 10 * c + (i / 10 + j) % 3, kind, CASE kind WHEN 'StudentEnrollment' THEN 1 WHEN 'TeacherEnrollment' THEN 2 ELSE 3 END,
    CASE WHEN j = 2 AND i % 4 = 0 THEN 'inactive' WHEN j = 1 AND i % 9 = 0 THEN 'completed' WHEN j = 1 AND i % 13 = 0 THEN 'invited' ELSE 'active' END,
    kind = 'TaEnrollment' AND (i + j) % 3 <> 0 OR i % 11 = 0, '2026-01-01', '2026-01-01', 1
FROM (SELECT i, j, 1 + (i + j * 3) % 10 AS c, CASE WHEN i <= 54 THEN 'TeacherEnrollment' WHEN i <= 100 AND (j < 1 OR i % 3 <> 0) THEN 'TaEnrollment'
        WHEN i > 195 AND j = 1 THEN 'TaEnrollment' ELSE 'StudentEnrollment' END AS kind
    FROM generate_series(1, 210) i, generate_series(0, 2) j WHERE i > 12) x;
INSERT INTO assignments (title, description, due_at, lock_at, workflow_state, context_id, context_type, created_at, updated_at, root_account_id)
SELECT 'Work ' || i, repeat('Do it. ', i), '2027-01-01'::timestamp + i * interval '1 day', CASE i % 7 WHEN 0 THEN '2026-01-02'::timestamp WHEN 1 THEN '2099-01-01' END,
    CASE i % 6 WHEN 0 THEN 'unpublished' WHEN 1 THEN 'deleted' ELSE 'published' END, 1 + i % 10, 'Course', '2026-01-01', '2026-01-01', 1
FROM generate_series(1, 50) i;
INSERT INTO submissions (assignment_id, user_id, course_id, root_account_id, workflow_state, submission_type, submitted_at, attempt, score, grade, graded_at, grader_id,
    posted_at, excused, grade_matches_current_submission, body, created_at, updated_at)
SELECT DISTINCT ON (a.id, e.user_id) a.id, e.user_id, a.context_id, 1,
    CASE WHEN a.workflow_state = 'deleted' OR e.id % 17 = 0 THEN 'deleted' WHEN e.id % 5 = 1 THEN 'graded' WHEN e.id % 3 > 0 THEN 'submitted' ELSE 'unsubmitted' END,
    CASE WHEN e.id % 3 > 0 THEN 'online_upload' END, CASE WHEN e.id % 3 > 0 THEN '2026-02-01'::timestamp END, CASE WHEN e.id % 3 > 0 THEN 1 END,
    CASE WHEN e.id % 5 = 1 THEN e.id % 100 END, CASE WHEN e.id % 5 = 1 THEN (e.id % 100)::text END, CASE WHEN e.id % 5 = 1 THEN '2026-02-02'::timestamp END,
    CASE WHEN e.id % 5 = 1 THEN 13 + e.id % 40 END, CASE WHEN e.id % 2 = 0 THEN '2026-02-03'::timestamp END, NULL, CASE WHEN e.id % 5 = 1 THEN true END,
    repeat('Written. ', (e.id % 50)::int), '2026-01-01', '2026-01-01'
FROM assignments a JOIN enrollments e ON e.course_id = a.context_id WHERE e.type = 'StudentEnrollment' AND (a.id + e.user_id) % 2 = 0;
