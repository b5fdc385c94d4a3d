-- A tracker of projects, which is no LMS, though it has tasks with a due date, members
-- with roles, and attempts to do things.

CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, role text NOT NULL);
CREATE TABLE projects (id bigint PRIMARY KEY, name text NOT NULL, owner_id bigint REFERENCES people);
CREATE TABLE project_members (project_id bigint REFERENCES projects, person_id bigint REFERENCES people, role text, PRIMARY KEY (project_id, person_id));
CREATE TABLE tasks (id bigint PRIMARY KEY, project_id bigint REFERENCES projects, assignee_id bigint REFERENCES people, title text NOT NULL, status text NOT NULL, due_date date, estimate numeric);
CREATE TABLE task_comments (id bigint PRIMARY KEY, task_id bigint REFERENCES tasks, author_id bigint REFERENCES people, body text, created_at timestamptz);
CREATE TABLE task_watchers (task_id bigint REFERENCES tasks, person_id bigint REFERENCES people, PRIMARY KEY (task_id, person_id));
CREATE TABLE time_entries (id bigint PRIMARY KEY, task_id bigint REFERENCES tasks, person_id bigint REFERENCES people, hours numeric, submitted_at timestamptz, status text);
