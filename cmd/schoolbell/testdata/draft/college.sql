-- A college's own LMS: uuid keys, no foreign keys, courses with enrolments, uploads that
-- are there once they are handed in, and marks in a table of their own.

CREATE TYPE enrolment_part AS ENUM ('learner', 'lecturer', 'assistant', 'visitor');
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    first_name text NOT NULL,
    surname text NOT NULL,
    email text NOT NULL,
    password text NOT NULL,
    is_admin boolean NOT NULL DEFAULT false,
    deleted_at timestamptz
);
CREATE TABLE courses (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title text NOT NULL,
    code text NOT NULL,
    archived boolean NOT NULL DEFAULT false
);
CREATE TABLE course_groups (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    course_id uuid NOT NULL,
    name text NOT NULL
);
CREATE TABLE enrolments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    course_id uuid NOT NULL,
    group_id uuid,
    part enrolment_part NOT NULL,
    left_at timestamptz
);
CREATE TABLE homework (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    course_id uuid NOT NULL,
    title text NOT NULL,
    instructions text NOT NULL,
    due_on date,
    lock_at timestamptz,
    published boolean NOT NULL DEFAULT false
);
CREATE TABLE homework_files (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    homework_id uuid NOT NULL,
    path text NOT NULL
);
CREATE TABLE uploads (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    homework_id uuid NOT NULL,
    learner_id uuid NOT NULL,
    path text NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE marks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    upload_id uuid NOT NULL,
    marker_id uuid NOT NULL,
    points numeric(5, 2),
    max_points numeric(5, 2) NOT NULL,
    released boolean NOT NULL DEFAULT false,
    marked_at timestamptz
);
CREATE TABLE api_tokens (
    token text PRIMARY KEY,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE password_reset_tokens (
    token text PRIMARY KEY,
    user_id uuid NOT NULL
);
