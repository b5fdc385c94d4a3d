-- What Canvas's rows mean, in SQL over its own tables: the schema `now` has them as they
-- are, `was` as they were when the transaction before committed. It follows from what
-- Canvas is, not from its profile.

-- now.standing, kept: it is asked for often.
CREATE TABLE oracle.people AS SELECT * FROM now.standing;
ALTER TABLE oracle.people ADD PRIMARY KEY (person);
CREATE FUNCTION oracle.refresh() RETURNS void LANGUAGE sql AS $f$
    DELETE FROM oracle.people;
    INSERT INTO oracle.people SELECT * FROM now.standing
$f$;

-- Who is what in which course. Admins of a sub-account are teachers of its courses.
CREATE VIEW oracle.members (person, course, section, limited, kind) AS
SELECT user_id, course_id, course_section_id, limit_privileges_to_course_section, CASE type WHEN 'TeacherEnrollment' THEN 'teacher' WHEN 'TaEnrollment' THEN 'ta' ELSE 'student' END
FROM public.enrollments WHERE workflow_state IN ('active', 'completed') AND type IN ('TeacherEnrollment', 'TaEnrollment', 'StudentEnrollment')
UNION ALL
SELECT u.user_id, a.course_id, NULL, false, 'teacher' FROM public.course_account_associations a JOIN public.account_users u USING (account_id)
WHERE a.course_section_id IS NULL AND u.workflow_state = 'active' AND EXISTS (SELECT FROM public.accounts b WHERE b.id = a.account_id AND b.parent_account_id IS NOT NULL);

CREATE FUNCTION oracle.may(who bigint, what text) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT active AND CASE what WHEN 'student' THEN role <> 'none' ELSE role IN ('admin', 'teacher', 'tutor') END FROM oracle.people WHERE person = who
$f$;

CREATE FUNCTION oracle.email(who bigint) RETURNS text LANGUAGE sql STABLE AS $f$
    SELECT coalesce((SELECT path FROM public.communication_channels WHERE user_id = who AND path_type = 'email' AND workflow_state = 'active'
        ORDER BY position NULLS LAST, id LIMIT 1), '')
$f$;

-- What is handed in and graded, as something that is equal while nothing happens.
CREATE FUNCTION oracle.handed_in(s public.submissions) RETURNS text LANGUAGE sql IMMUTABLE AS $f$
    SELECT CASE WHEN s.submission_type IS NOT NULL AND s.submitted_at IS NOT NULL THEN 'attempt ' || coalesce(s.attempt::text, '') END
$f$;
CREATE FUNCTION oracle.graded(s public.submissions) RETURNS text LANGUAGE sql IMMUTABLE AS $f$
    SELECT CASE WHEN s.score IS NOT NULL AND s.workflow_state <> 'pending_review' OR s.excused
        THEN concat_ws(' ', coalesce(s.graded_at::text, '-'), coalesce(s.score::text, '-'), coalesce(s.excused::text, '-')) END
$f$;

-- What was known of each submission when it was last there: what is restored is not new.
CREATE TABLE oracle.known AS SELECT id, oracle.handed_in(s), oracle.graded(s), posted_at IS NULL AS hidden FROM public.submissions s;
ALTER TABLE oracle.known ADD PRIMARY KEY (id);

-- Assignments that have been there for students once: they are created only once.
CREATE TABLE oracle.created AS SELECT id FROM public.assignments WHERE workflow_state = 'published';

CREATE FUNCTION oracle.is_open(state text, locks timestamp, course text) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT coalesce(state = 'published' AND (locks IS NULL OR locks > timezone('utc', now())) AND course NOT IN ('completed', 'deleted'), false)
$f$;

-- Somebody is this in the course, and sees the student's work there: all of it, if not every
-- row that makes them staff is limited, else that of the sections that they share.
CREATE FUNCTION oracle.sees(who bigint, what text, course_id bigint, student bigint) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT coalesce(bool_or(m.kind = what), false) AND (bool_or(NOT m.limited) OR bool_or(m.section IN (
        SELECT s.section FROM oracle.members s WHERE s.person = student AND s.course = course_id AND s.kind = 'student')))
    FROM oracle.members m WHERE m.person = who AND m.course = course_id AND m.kind IN ('teacher', 'ta')
$f$;

-- Whom a student's work concerns, without the student.
CREATE FUNCTION oracle.work(course_id bigint, student bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
    SELECT array(SELECT person FROM oracle.people WHERE active AND role = 'admin'
        UNION SELECT m.person FROM oracle.members m WHERE m.course = course_id AND m.kind IN ('teacher', 'ta')
            AND oracle.may(m.person, m.kind) AND oracle.sees(m.person, m.kind, course_id, student))
$f$;

-- Whom an assignment concerns: everybody of the course.
CREATE FUNCTION oracle.assignment(course_id bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
    SELECT array(SELECT person FROM oracle.people WHERE active AND role = 'admin'
        UNION SELECT m.person FROM oracle.members m WHERE m.course = course_id AND oracle.may(m.person, m.kind))
$f$;

CREATE FUNCTION oracle.muted(course bigint) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT EXISTS (SELECT FROM public.courses WHERE id = course AND workflow_state NOT IN ('available', 'completed'))
$f$;

CREATE VIEW oracle.events (stage, fields, people) AS
WITH work AS (
    SELECT s.*, a.title, a.context_id, oracle.work(a.context_id, s.user_id) AS staff,
        CASE WHEN oracle.may(s.user_id, 'student') THEN array[s.user_id] END AS own,
        jsonb_build_object('id', p.id, 'email', oracle.email(p.id), 'first_name', p.name, 'last_name', '') AS student,
        oracle.handed_in(s) IS NOT NULL AND oracle.handed_in(s) IS DISTINCT FROM k.handed_in AS is_handed_in,
        oracle.graded(s) IS NOT NULL AND oracle.graded(s) IS DISTINCT FROM k.graded AS is_graded,
        oracle.graded(s) = k.graded AND k.hidden AND s.posted_at IS NOT NULL AS shown
    FROM public.submissions s JOIN now.assignments a ON a.id = s.assignment_id JOIN now.users p ON p.id = s.user_id LEFT JOIN oracle.known k ON k.id = s.id
    WHERE s.id IN (SELECT key FROM oracle.touched WHERE place = 'submissions') AND s.workflow_state <> 'deleted' AND NOT oracle.muted(a.context_id)
), assignment AS (
    SELECT n.id, n.title, n.description, n.due_at,
        n.workflow_state = 'published' AND NOT EXISTS (SELECT FROM oracle.created c WHERE c.id = n.id) AS created,
        oracle.is_open(o.workflow_state, o.lock_at, oc.workflow_state) AND NOT oracle.is_open(n.workflow_state, n.lock_at, nc.workflow_state) AS closed,
        n.context_id
    FROM now.assignments n JOIN now.courses nc ON nc.id = n.context_id LEFT JOIN was.assignments o ON o.id = n.id LEFT JOIN was.courses oc ON oc.id = o.context_id
    WHERE (n.id IN (SELECT key FROM oracle.touched WHERE place = 'assignments') OR n.context_id IN (SELECT key FROM oracle.touched WHERE place = 'courses'))
        AND NOT oracle.muted(n.context_id)
)
SELECT 0, jsonb_build_object('type', 'assignment', 'assignment_id', id, 'title', title, 'description', '', 'due_date', due_at AT TIME ZONE 'utc'), oracle.assignment(context_id)
FROM assignment WHERE created
UNION ALL
SELECT 1, jsonb_build_object('type', 'submission', 'submission_id', id, 'assignment_id', assignment_id, 'assignment_title', title, 'student', student), staff
FROM work WHERE is_handed_in
UNION ALL
SELECT 1, jsonb_build_object('type', 'grade', 'submission_id', id, 'assignment_id', assignment_id, 'assignment_title', title, 'student', student,
        'grade', coalesce(to_jsonb(score), to_jsonb(grade), 'null')) || CASE WHEN grader_id IS NULL OR grader_id < 0 THEN '{"automatic": true}' ELSE '{}' END::jsonb,
    CASE WHEN NOT is_graded THEN own WHEN posted_at IS NULL THEN staff ELSE staff || own END
FROM work WHERE is_graded OR shown AND own IS NOT NULL
UNION ALL
SELECT 2, jsonb_build_object('type', 'assignment_closed', 'assignment_id', id, 'assignment_title', title), oracle.assignment(context_id)
FROM assignment WHERE closed;

CREATE FUNCTION oracle.remember() RETURNS void LANGUAGE sql AS $f$
    INSERT INTO oracle.created SELECT id FROM public.assignments a WHERE workflow_state = 'published' AND id IN (SELECT key FROM oracle.touched WHERE place = 'assignments')
        AND NOT EXISTS (SELECT FROM oracle.created c WHERE c.id = a.id);
    DELETE FROM oracle.known WHERE id IN (SELECT key FROM oracle.touched WHERE place = 'submissions') AND id NOT IN (SELECT id FROM public.submissions);
    INSERT INTO oracle.known SELECT id, oracle.handed_in(s), oracle.graded(s), posted_at IS NULL FROM public.submissions s
        WHERE id IN (SELECT key FROM oracle.touched WHERE place = 'submissions')
    ON CONFLICT (id) DO UPDATE SET handed_in = excluded.handed_in, graded = excluded.graded, hidden = excluded.hidden
        WHERE (SELECT workflow_state FROM public.submissions n WHERE n.id = excluded.id) <> 'deleted'
$f$;

-- Canvas's own "needs grading", as its index of it says.
CREATE FUNCTION oracle.needs_grading(s public.submissions) RETURNS boolean LANGUAGE sql IMMUTABLE AS $f$
    SELECT s.submission_type IS NOT NULL AND (s.excused = 'f' OR s.excused IS NULL) AND (s.workflow_state = 'pending_review'
        OR s.workflow_state IN ('submitted', 'graded') AND (s.score IS NULL OR NOT s.grade_matches_current_submission))
$f$;

-- Where the two do not agree: work that was graded and then handed in again needs grading, says
-- Canvas, until a teacher has looked at the new attempt. It has a grade, which the student and
-- the teacher see; to us it is graded, and the new attempt is told as a submission.
CREATE FUNCTION oracle.handed_in_since(s public.submissions) RETURNS boolean LANGUAGE sql IMMUTABLE AS $f$
    SELECT coalesce(s.workflow_state IN ('submitted', 'graded') AND s.score IS NOT NULL AND NOT s.grade_matches_current_submission, false)
$f$;

-- What everybody counts. The ungraded are what needs grading, but for that.
CREATE VIEW oracle.counts (person, pending, ungraded, active, total) AS
WITH who AS (
    SELECT person AS id, role FROM oracle.people WHERE active
), work AS MATERIALIZED (
    SELECT s.id, s.user_id, a.context_id AS course, oracle.handed_in(s) IS NULL AS pending, oracle.needs_grading(s) AND NOT oracle.handed_in_since(s) AS ungraded
    FROM public.submissions s JOIN now.assignments a ON a.id = s.assignment_id WHERE s.workflow_state <> 'deleted'
), member AS MATERIALIZED (
    SELECT * FROM oracle.members
), team AS (
    SELECT m.person AS who, m.course, bool_or(NOT m.limited) AS whole FROM member m JOIN who w ON w.id = m.person
    WHERE m.kind IN ('teacher', 'ta') AND w.role IN ('teacher', 'tutor') GROUP BY 1, 2
), shares AS (
    SELECT DISTINCT m.person AS who, m.course, s.person AS student FROM member m JOIN member s USING (course, section) WHERE m.kind IN ('teacher', 'ta') AND s.kind = 'student'
), sees AS (
    SELECT w.id AS who, s.id FROM who w, work s WHERE w.role = 'admin'
    UNION
    SELECT t.who, s.id FROM team t JOIN work s USING (course) LEFT JOIN shares x ON x.who = t.who AND x.course = t.course AND x.student = s.user_id
    WHERE t.whole OR x.who IS NOT NULL
), has AS (
    SELECT w.id AS who, a.id FROM who w, now.assignments a WHERE w.role = 'admin' AND a.workflow_state <> 'deleted'
    UNION
    SELECT t.who, a.id FROM team t JOIN now.assignments a ON a.context_id = t.course AND a.workflow_state <> 'deleted'
)
SELECT w.id, count(s.id) FILTER (WHERE s.pending), count(s.id) FILTER (WHERE s.ungraded), count(DISTINCT s.user_id), (SELECT count(*) FROM has h WHERE h.who = w.id)
FROM who w LEFT JOIN sees ON sees.who = w.id LEFT JOIN work s ON s.id = sees.id
WHERE w.role IN ('admin', 'teacher', 'tutor') -- students are told no counts
GROUP BY w.id, w.role;
