-- A village school's own LMS: accounts for everybody, pupils with a form and a mentor,
-- tasks set for a form, answers that are drafts at first and marked in the same row.

CREATE TABLE accounts (
    id serial PRIMARY KEY,
    login text NOT NULL UNIQUE,
    pass_hash text NOT NULL,
    full_name text NOT NULL,
    mail text,
    position text NOT NULL CHECK (position IN ('pupil', 'teacher', 'mentor', 'headmaster', 'caretaker')),
    blocked boolean NOT NULL DEFAULT false
);
CREATE TABLE forms (
    id serial PRIMARY KEY,
    label text NOT NULL,
    teacher_id int NOT NULL REFERENCES accounts
);
CREATE TABLE pupils (
    id serial PRIMARY KEY,
    account_id int NOT NULL UNIQUE REFERENCES accounts,
    form_id int NOT NULL REFERENCES forms,
    mentor_id int REFERENCES accounts,
    bus_line text
);
CREATE TABLE tasks (
    id serial PRIMARY KEY,
    form_id int NOT NULL REFERENCES forms,
    set_by int NOT NULL REFERENCES accounts,
    heading text NOT NULL,
    details text,
    deadline timestamp NOT NULL,
    stage text NOT NULL CHECK (stage IN ('draft', 'open', 'closed'))
);
CREATE TABLE answers (
    id serial PRIMARY KEY,
    task_id int NOT NULL REFERENCES tasks,
    pupil_id int NOT NULL REFERENCES pupils,
    body text NOT NULL,
    status text NOT NULL CHECK (status IN ('started', 'handed_in', 'marked')),
    created_at timestamp NOT NULL DEFAULT now(),
    mark smallint,
    marked_by int REFERENCES accounts,
    marked_at timestamp,
    UNIQUE (task_id, pupil_id)
);
CREATE TABLE answer_comments (
    id serial PRIMARY KEY,
    answer_id int NOT NULL REFERENCES answers,
    author_id int NOT NULL REFERENCES accounts,
    body text NOT NULL
);
CREATE TABLE lunch_orders (
    id serial PRIMARY KEY,
    account_id int NOT NULL REFERENCES accounts,
    day date NOT NULL,
    status text NOT NULL
);
