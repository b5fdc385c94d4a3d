-- What a transaction in Moodle means, for whom, and what everybody counts: of the tables as
-- they are (now) and as they were when the transaction before committed (was).

-- Kept, for they are asked for often.
CREATE TABLE oracle.people AS SELECT * FROM now.standing;
ALTER TABLE oracle.people ADD PRIMARY KEY (person);
CREATE TABLE oracle.member AS SELECT * FROM now.member;
CREATE INDEX ON oracle.member (course);
CREATE FUNCTION oracle.refresh() RETURNS void LANGUAGE sql AS $f$
    DELETE FROM oracle.people;
    DELETE FROM oracle.member;
    INSERT INTO oracle.people SELECT * FROM now.standing;
    INSERT INTO oracle.member SELECT * FROM now.member
$f$;

-- Assignments that students have seen once: they are created only once.
CREATE TABLE oracle.created AS SELECT id FROM was.work WHERE published;

CREATE FUNCTION oracle.staff(who bigint) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT active AND role IN ('admin', 'teacher', 'tutor') FROM oracle.people WHERE person = who
$f$;

CREATE FUNCTION oracle.student(who bigint) RETURNS boolean LANGUAGE sql STABLE AS $f$
    SELECT active AND role <> 'none' FROM oracle.people WHERE person = who
$f$;

-- The groups in which a student takes a course.
CREATE FUNCTION oracle.groups(in_course bigint, student_id bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
    SELECT array(SELECT g.id FROM now.mdl_groups g JOIN now.mdl_groups_members gm ON gm.groupid = g.id
        WHERE g.courseid = in_course AND gm.userid = student_id
            AND EXISTS (SELECT FROM oracle.member m WHERE m.person = student_id AND m.course = in_course AND m.student))
$f$;

-- Whom work concerns, without whose it is: teachers, and those tutors who may see it.
CREATE FUNCTION oracle.concerned(in_course bigint, whole boolean, groups bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $f$
    SELECT array(SELECT person FROM oracle.people WHERE active AND role = 'admin'
        UNION SELECT m.person FROM oracle.member m WHERE m.course = in_course AND oracle.staff(m.person) AND (m.teacher OR m.tutor AND (whole
            OR EXISTS (SELECT FROM now.mdl_groups_members gm WHERE gm.userid = m.person AND gm.groupid = ANY (groups)))))
$f$;

CREATE FUNCTION oracle.whose(anonymous boolean, student_id bigint, group_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $f$
    SELECT CASE
        WHEN anonymous THEN '{"student": {"id": null, "email": "", "first_name": "", "last_name": ""}}'
        WHEN group_id <> 0 THEN (SELECT jsonb_build_object('student', jsonb_build_object('id', null, 'email', '', 'first_name', name, 'last_name', ''),
            'group', jsonb_build_object('id', id, 'name', name)) FROM now.mdl_groups WHERE id = group_id)
        ELSE (SELECT jsonb_build_object('student', jsonb_build_object('id', id, 'email', email, 'first_name', firstname, 'last_name', lastname))
            FROM now.mdl_user WHERE id = student_id) END
$f$;

-- The submission that a grade is of: the student's own, or a team's that the student is in.
CREATE FUNCTION oracle.submission_of(assign bigint, student_id bigint, attempt bigint) RETURNS bigint LANGUAGE sql STABLE AS $f$
    SELECT t.id FROM now.thread t WHERE t.assignment = assign AND t.attemptnumber = attempt
        AND (t.userid = student_id OR t.groupid IN (SELECT groupid FROM now.mdl_groups_members WHERE userid = student_id))
    ORDER BY t.userid = student_id DESC, t.groupid, t.id LIMIT 1
$f$;

CREATE VIEW oracle.events (stage, fields, people) AS
WITH assignment AS (
    SELECT id, n.id IS NOT NULL AS there, coalesce(n.name, o.name) AS title, n.intro, n.duedate,
        coalesce(n.published, false) AND NOT EXISTS (SELECT FROM oracle.created c WHERE c.id = coalesce(n.id, o.id)) AS created,
        coalesce(o.open, false) AND NOT coalesce(n.open, false) AS closed, coalesce(n.course, o.course) AS course
    FROM now.work n FULL JOIN was.work o USING (id)
), told AS (
    SELECT a.*, oracle.concerned(a.course, true, NULL) || array(SELECT m.person FROM oracle.member m
        WHERE m.course = a.course AND m.student AND oracle.student(m.person)) AS people
    FROM assignment a WHERE created OR closed
), handed_in AS (
    SELECT t.*, w.name, w.anonymous, oracle.concerned(w.course, w.whole,
        CASE WHEN t.groupid <> 0 THEN array[t.groupid] ELSE oracle.groups(w.course, t.userid) END) AS people
    FROM now.thread t JOIN now.work w ON w.id = t.assignment LEFT JOIN was.thread o ON o.id = t.id
    WHERE t.submitted AND o.submitted IS NOT TRUE
), graded AS (
    SELECT g.*, w.name, w.anonymous, o.id IS NULL OR g.grade <> o.grade AS given,
        CASE WHEN NOT g.hidden AND oracle.student(g.userid) THEN array[g.userid] END AS own,
        oracle.concerned(w.course, w.whole, oracle.groups(w.course, g.userid)) AS people
    FROM now.grading g JOIN now.work w ON w.id = g.assignment LEFT JOIN was.grading o ON o.id = g.id
    WHERE o.id IS NULL OR g.grade <> o.grade OR o.hidden AND NOT g.hidden
)
SELECT 0, jsonb_build_object('type', 'assignment', 'assignment_id', id, 'title', title, 'description', left(intro, 200),
    'due_date', CASE WHEN duedate > 0 THEN to_timestamp(duedate) END), people
FROM told WHERE there AND created
UNION ALL
SELECT 1, jsonb_build_object('type', 'submission', 'submission_id', id, 'assignment_id', assignment, 'assignment_title', name)
    || oracle.whose(anonymous, userid, groupid), people
FROM handed_in
UNION ALL
SELECT 1, jsonb_build_object('type', 'grade', 'submission_id', oracle.submission_of(assignment, userid, attemptnumber), 'assignment_id', assignment,
    'assignment_title', name, 'grade', grade) || oracle.whose(anonymous, userid, 0), CASE WHEN given THEN people || own ELSE own END
FROM graded WHERE given OR own IS NOT NULL
UNION ALL
SELECT 2, jsonb_build_object('type', 'assignment_closed', 'assignment_id', id, 'assignment_title', title), people
FROM told WHERE closed;

CREATE FUNCTION oracle.remember() RETURNS void LANGUAGE sql AS $f$
    INSERT INTO oracle.created SELECT id FROM now.work w WHERE published AND NOT EXISTS (SELECT FROM oracle.created c WHERE c.id = w.id)
$f$;

-- What everybody counts.
CREATE VIEW oracle.counts (person, pending, ungraded, active, total) AS
WITH who AS (
    SELECT person, role FROM oracle.people WHERE active AND role IN ('admin', 'teacher', 'tutor')
), team AS (
    SELECT m.* FROM now.member m JOIN who w USING (person) WHERE (m.teacher OR m.tutor) AND w.role <> 'admin'
), thread AS MATERIALIZED (
    SELECT t.*, w.course, w.whole, CASE WHEN t.groupid <> 0 THEN array[t.groupid] WHEN NOT w.whole THEN oracle.groups(w.course, t.userid) END AS groups,
        EXISTS (SELECT FROM now.grading g WHERE g.assignment = t.assignment AND g.attemptnumber = t.attemptnumber AND (g.userid = t.userid
            OR t.groupid IN (SELECT gm.groupid FROM now.mdl_groups_members gm WHERE gm.userid = g.userid))) AS graded
    FROM now.thread t JOIN now.work w ON w.id = t.assignment
), sees AS (
    SELECT w.person, t.id FROM who w, thread t WHERE w.role = 'admin'
    UNION
    SELECT m.person, t.id FROM team m JOIN thread t USING (course) WHERE m.teacher OR t.whole
        OR EXISTS (SELECT FROM now.mdl_groups_members gm WHERE gm.userid = m.person AND gm.groupid = ANY (t.groups))
)
SELECT w.person,
    count(t.id) FILTER (WHERE NOT t.submitted),
    count(t.id) FILTER (WHERE t.submitted AND NOT t.graded),
    count(DISTINCT nullif(t.userid, 0)),
    (SELECT count(*) FROM now.work a WHERE w.role = 'admin' OR a.course IN (SELECT m.course FROM team m WHERE m.person = w.person))
FROM who w LEFT JOIN sees s ON s.person = w.person LEFT JOIN thread t ON t.id = s.id
GROUP BY w.person, w.role;
