-- What Moodle's tables say of rights and of work, for the tables of one schema, @.

-- The contexts above each course, and itself.
CREATE VIEW @.above AS SELECT instanceid AS course, unnest(string_to_array(ltrim(path, '/'), '/')::bigint[]) AS context
FROM @.mdl_context WHERE contextlevel = 50;

-- What a role may do in a course: allowed somewhere on the way, and forbidden nowhere.
CREATE VIEW @.may AS SELECT k.roleid AS role, a.course, k.capability
FROM @.mdl_role_capabilities k JOIN @.above a ON a.context = k.contextid
GROUP BY 1, 2, 3 HAVING max(k.permission) > 0 AND min(k.permission) >= 0;

CREATE VIEW @.enrolled AS SELECT DISTINCT ue.userid AS person, e.courseid AS course
FROM @.mdl_user_enrolments ue JOIN @.mdl_enrol e ON e.id = ue.enrolid
WHERE ue.status = 0 AND e.status = 0 AND ue.timestart <= extract(epoch FROM now()) AND (ue.timeend = 0 OR ue.timeend > extract(epoch FROM now()));

-- Who is what in which course.
CREATE VIEW @.member AS SELECT ra.userid AS person, a.course,
    bool_or(r.archetype = 'student') AS student,
    bool_or(g.role IS NOT NULL AND s.role IS NOT NULL) AS teacher,
    bool_or(g.role IS NOT NULL AND s.role IS NULL) AS tutor
FROM @.mdl_role_assignments ra JOIN @.mdl_role r ON r.id = ra.roleid JOIN @.above a ON a.context = ra.contextid
    LEFT JOIN @.may g ON g.role = ra.roleid AND g.course = a.course AND g.capability = 'mod/assign:grade'
    LEFT JOIN @.may s ON s.role = ra.roleid AND s.course = a.course AND s.capability = 'moodle/site:accessallgroups'
    LEFT JOIN @.may v ON v.role = ra.roleid AND v.course = a.course AND v.capability = 'moodle/course:view'
    LEFT JOIN @.enrolled n ON n.person = ra.userid AND n.course = a.course
WHERE n.person IS NOT NULL OR v.role IS NOT NULL
GROUP BY 1, 2;

CREATE VIEW @.standing AS SELECT u.id AS person, u.suspended = 0 AND u.deleted = 0 AND u.confirmed = 1 AS active, CASE
    WHEN EXISTS (SELECT FROM @.mdl_config c WHERE c.name = 'siteadmins' AND u.id::text = ANY (string_to_array(c.value, ',')))
        OR EXISTS (SELECT FROM @.mdl_role_assignments ra JOIN @.mdl_context x ON x.id = ra.contextid JOIN @.mdl_role r ON r.id = ra.roleid
            WHERE ra.userid = u.id AND x.contextlevel = 10 AND r.archetype = 'manager') THEN 'admin'
    WHEN m.teacher THEN 'teacher' WHEN m.tutor THEN 'tutor' WHEN m.student THEN 'student' ELSE 'none' END AS role
FROM @.mdl_user u LEFT JOIN (
    SELECT person, bool_or(teacher) AS teacher, bool_or(tutor) AS tutor, bool_or(student) AS student FROM @.member GROUP BY 1
) m ON m.person = u.id;

-- Assignments, with what their activity and course say of them.
CREATE VIEW @.work AS SELECT a.id, a.course, a.name, a.intro, a.duedate, a.teamsubmission, a.markingworkflow,
    a.blindmarking = 1 AND a.revealidentities = 0 AS anonymous,
    coalesce(CASE c.groupmodeforce WHEN 1 THEN c.groupmode ELSE cm.groupmode END, 0) <> 1 AS whole,
    coalesce(cm.visible = 1 AND cm.deletioninprogress = 0, false) AS published,
    coalesce(cm.visible = 1 AND cm.deletioninprogress = 0, false) AND (a.cutoffdate = 0 OR a.cutoffdate > extract(epoch FROM now())) AS open
FROM @.mdl_assign a LEFT JOIN @.mdl_course c ON c.id = a.course
    LEFT JOIN (@.mdl_course_modules cm JOIN @.mdl_modules m ON m.id = cm.module AND m.name = 'assign') ON cm.instance = a.id;

-- What counts as somebody's work: of a team its own row, otherwise each student's.
CREATE VIEW @.thread AS SELECT s.id, s.assignment, s.userid, s.groupid, s.attemptnumber, s.status = 'submitted' AS submitted
FROM @.mdl_assign_submission s JOIN @.mdl_assign a ON a.id = s.assignment
WHERE s.latest = 1 AND CASE a.teamsubmission WHEN 1 THEN s.userid = 0 ELSE s.userid <> 0 END;

CREATE VIEW @.grading AS SELECT g.id, g.assignment, g.userid, g.attemptnumber, g.grade,
    a.markingworkflow = 1 AND NOT EXISTS (SELECT FROM @.mdl_assign_user_flags f WHERE f.assignment = a.id AND f.userid = g.userid AND f.workflowstate = 'released')
        OR a.blindmarking = 1 AND a.revealidentities = 0 AS hidden
FROM @.mdl_assign_grades g JOIN @.mdl_assign a ON a.id = g.assignment WHERE g.grade >= 0;
