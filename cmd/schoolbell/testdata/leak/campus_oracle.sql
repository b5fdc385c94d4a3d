-- What campus.yaml and campus_roles.yaml mean, in SQL: the schema `now` has the tables as
-- they are, `was` as they were when the transaction before committed. What the two profiles
-- differ in is in now.standing, oracle.may, owns and given, which stand before this.

-- now.standing, kept: it is asked for often.
ALTER TABLE oracle.people ADD PRIMARY KEY (person);
CREATE FUNCTION oracle.refresh() RETURNS void LANGUAGE sql AS $f$
    DELETE FROM oracle.people;
    INSERT INTO oracle.people SELECT * FROM now.standing
$f$;

-- Assignments that have been there for students once: they are created only once.
CREATE TABLE oracle.created AS SELECT id FROM public.assignments WHERE state <> 'draft';

CREATE FUNCTION oracle.is_open(state text, closes timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT coalesce(state = 'open' AND (closes IS NULL OR closes > now()), false)
$f$;

-- Somebody is this in the course, and sees the student's work there: all of it, if not every
-- row that makes them staff is limited, else that of the sections that they share.
CREATE FUNCTION oracle.sees(who bigint, what text, course bigint, student bigint) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT coalesce(bool_or(m.kind = what), false) AND (
        bool_or(NOT m.limited)
        OR bool_or(m.section_id IN (
            SELECT s.section_id FROM now.enrolments s
            WHERE s.person_id = student AND s.course_id = course AND s.kind = 'student' AND s.state = 'active')))
    FROM now.enrolments m WHERE m.person_id = who AND m.course_id = course AND m.state = 'active' AND m.kind IN ('teacher', 'ta')
$f$;

-- Whom a student's work concerns, without the student.
CREATE FUNCTION oracle.work(course bigint, author bigint, student bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
    SELECT array(SELECT person FROM oracle.people WHERE active AND role = 'admin'
        UNION SELECT o FROM oracle.owns(author) o WHERE oracle.may(o, 'teacher')
        UNION SELECT m.person_id FROM now.enrolments m WHERE m.course_id = course AND m.state = 'active' AND m.kind IN ('teacher', 'ta')
            AND oracle.may(m.person_id, m.kind) AND oracle.sees(m.person_id, m.kind, course, student))
$f$;

-- Whom an assignment concerns; students are those to whom it is given, where that is said.
CREATE FUNCTION oracle.assignment(course bigint, author bigint, students bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
    SELECT array(SELECT person FROM oracle.people WHERE active AND role = 'admin'
        UNION SELECT o FROM oracle.owns(author) o WHERE oracle.may(o, 'teacher')
        UNION SELECT m.person_id FROM now.enrolments m WHERE m.course_id = course AND m.state = 'active' AND m.kind = 'teacher'
            AND oracle.may(m.person_id, 'teacher')
        UNION SELECT m.person_id FROM now.enrolments m WHERE m.course_id = course AND m.state = 'active' AND m.kind = 'ta'
            AND oracle.may(m.person_id, 'ta')
            AND (students IS NULL OR EXISTS (SELECT FROM unnest(students) s WHERE oracle.sees(m.person_id, 'ta', course, s)))
        UNION SELECT s FROM unnest(coalesce(students, array(
            SELECT e.person_id FROM now.enrolments e WHERE e.course_id = course AND e.state = 'active' AND e.kind = 'student'))) s
        WHERE oracle.students() AND oracle.may(s, 'student'))
$f$;

CREATE FUNCTION oracle.muted(course bigint) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT EXISTS (SELECT FROM now.courses WHERE id = course AND state <> 'available')
$f$;

CREATE VIEW oracle.events (stage, fields, people) AS
WITH work AS (
    SELECT s.*, a.title, a.course_id, oracle.work(a.course_id, a.author_id, s.person_id) AS staff,
        CASE WHEN oracle.students() AND oracle.may(s.person_id, 'student') THEN array[s.person_id] END AS own,
        jsonb_build_object('id', p.id, 'email', p.email, 'first_name', p.name, 'last_name', '') AS student,
        s.handed_in_at IS NOT NULL AND (o.handed_in_at IS NULL OR s.attempt <> o.attempt) AS handed_in,
        s.score IS NOT NULL AND s.score IS DISTINCT FROM o.score AS graded,
        o.id IS NOT NULL AND o.posted_at IS NULL AND s.posted_at IS NOT NULL AS shown
    FROM now.submissions s JOIN now.assignments a ON a.id = s.assignment_id JOIN now.people p ON p.id = s.person_id
        LEFT JOIN was.submissions o ON o.id = s.id
    WHERE s.id IN (SELECT key FROM oracle.touched WHERE place = 'submissions') AND NOT oracle.muted(a.course_id)
), assignment AS (
    SELECT t.key AS id, n.id IS NOT NULL AS there, coalesce(n.title, o.title) AS title, n.body, n.due_at,
        n.state <> 'draft' AND NOT EXISTS (SELECT FROM oracle.created c WHERE c.id = t.key) AS created,
        oracle.is_open(o.state, o.closes_at) AND NOT oracle.is_open(n.state, n.closes_at) AS closed,
        oracle.assignment(coalesce(n.course_id, o.course_id), CASE WHEN n.id IS NULL THEN o.author_id ELSE n.author_id END,
            oracle.given(t.key, n.id IS NOT NULL)) AS people
    FROM oracle.touched t LEFT JOIN public.assignments n ON n.id = t.key LEFT JOIN was.assignments o ON o.id = t.key
    WHERE t.place = 'assignments' AND NOT oracle.muted(coalesce(n.course_id, o.course_id))
)
SELECT 0, jsonb_build_object('type', 'assignment', 'assignment_id', id, 'title', title, 'description', left(body, 200), 'due_date', due_at), people
FROM assignment WHERE there AND created
UNION ALL
SELECT 1, jsonb_build_object('type', 'submission', 'submission_id', id, 'assignment_id', assignment_id, 'assignment_title', title, 'student', student), staff
FROM work WHERE handed_in
UNION ALL
SELECT 1, jsonb_build_object('type', 'grade', 'submission_id', id, 'assignment_id', assignment_id, 'assignment_title', title, 'student', student, 'grade', score),
    CASE WHEN NOT graded THEN own WHEN posted_at IS NULL THEN staff ELSE staff || own END
FROM work WHERE graded OR shown AND score IS NOT NULL AND own IS NOT NULL
UNION ALL
SELECT 2, jsonb_build_object('type', 'assignment_closed', 'assignment_id', id, 'assignment_title', title), people
FROM assignment WHERE closed;

CREATE FUNCTION oracle.remember() RETURNS void LANGUAGE sql AS $f$
    INSERT INTO oracle.created SELECT id FROM now.assignments a WHERE state <> 'draft' AND id IN (SELECT key FROM oracle.touched WHERE place = 'assignments')
        AND NOT EXISTS (SELECT FROM oracle.created c WHERE c.id = a.id)
$f$;

-- What everybody counts.
CREATE VIEW oracle.counts (person, pending, ungraded, active, total) AS
WITH who AS (
    SELECT person AS id, role, oracle.may(person, 'teacher') AS teaches, oracle.may(person, 'ta') AS assists FROM oracle.people WHERE active
), member AS (
    SELECT * FROM now.enrolments WHERE state = 'active'
), team AS (
    SELECT m.person_id AS who, m.course_id, bool_or(NOT m.limited) AS whole,
        bool_or(m.kind = 'teacher' AND w.teaches) AS teacher, bool_or(m.kind = 'ta' AND w.assists) AS ta
    FROM member m JOIN who w ON w.id = m.person_id WHERE m.kind IN ('teacher', 'ta') AND w.role IN ('teacher', 'tutor') GROUP BY 1, 2
), shares AS (
    SELECT DISTINCT m.person_id AS who, course_id, s.person_id AS student
    FROM member m JOIN member s USING (course_id, section_id) WHERE m.kind IN ('teacher', 'ta') AND s.kind = 'student'
), sees AS (
    SELECT w.id AS who, s.id FROM who w, now.submissions s WHERE w.role = 'admin'
    UNION
    SELECT t.who, s.id FROM team t JOIN now.assignments a USING (course_id) JOIN now.submissions s ON s.assignment_id = a.id
        LEFT JOIN shares x ON x.who = t.who AND x.course_id = a.course_id AND x.student = s.person_id
    WHERE (t.teacher OR t.ta) AND (t.whole OR x.who IS NOT NULL)
    UNION
    SELECT w.id, s.id FROM who w JOIN now.assignments a ON oracle.owns(a.author_id) = w.id JOIN now.submissions s ON s.assignment_id = a.id
    WHERE w.teaches AND w.role IN ('teacher', 'tutor')
), to_whom AS MATERIALIZED (
    SELECT a.id, a.course_id, a.state, a.author_id, oracle.given(a.id, true) AS students FROM now.assignments a
), has AS (
    SELECT w.id AS who, a.id FROM who w, to_whom a WHERE w.role = 'admin' OR w.role IN ('teacher', 'tutor') AND w.teaches AND oracle.owns(a.author_id) = w.id
    UNION
    SELECT t.who, a.id FROM team t JOIN to_whom a USING (course_id) WHERE t.teacher OR t.ta AND (a.students IS NULL
        OR EXISTS (SELECT FROM unnest(a.students) s WHERE t.whole OR EXISTS (SELECT FROM shares x WHERE x.who = t.who AND x.course_id = a.course_id AND x.student = s)))
)
SELECT w.id,
    count(s.id) FILTER (WHERE s.handed_in_at IS NULL),
    count(s.id) FILTER (WHERE s.handed_in_at IS NOT NULL AND s.score IS NULL),
    count(DISTINCT s.person_id),
    (SELECT count(*) FROM has h WHERE h.who = w.id)
FROM who w LEFT JOIN sees ON sees.who = w.id LEFT JOIN now.submissions s ON s.id = sees.id
WHERE w.role IN ('admin', 'teacher', 'tutor') -- students are told no counts
GROUP BY w.id, w.role;
