-- The fewest people who have something to tell each other, for docker-compose.yml.
-- Nobody's password is here; the tokens are words that fit in an address.

-- The role that the gateway uses. What it may read, schoolbell init grants.
CREATE ROLE schoolbell LOGIN REPLICATION PASSWORD 'schoolbell';

INSERT INTO accounts_user (id, is_superuser, email, first_name, last_name, role, is_staff, is_active, date_joined) VALUES
    (1, false, 'admin@school.example', 'Ada', 'Admin', 'admin', true, true, now()),
    (2, false, 'teacher@school.example', 'Tim', 'Teacher', 'teacher', false, true, now()),
    (3, false, 'tutor@school.example', 'Tua', 'Tutor', 'tutor', false, true, now()),
    (4, false, 'student@school.example', 'Sam', 'Student', 'student', false, true, now());
INSERT INTO accounts_studentprofile (grade, user_id, tutor_id) VALUES ('7b', 4, 3);
INSERT INTO assignments_assignment (id, title, description, author_id, status, due_date, created_at, updated_at)
    VALUES (1, 'Fractions, sheet 7', '', 2, 'published', now() + interval '7 days', now(), now());
INSERT INTO assignments_assignment_assigned_to (assignment_id, user_id) VALUES (1, 4);
INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, feedback, updated_at)
    VALUES (1, 4, '', 'draft', '', now());
INSERT INTO authtoken_token (key, created, user_id) VALUES ('admin', now(), 1), ('teacher', now(), 2), ('tutor', now(), 3);

-- The LMS would go on from here.
SELECT setval(pg_get_serial_sequence('accounts_user', 'id'), 4), setval(pg_get_serial_sequence('assignments_assignment', 'id'), 1);
