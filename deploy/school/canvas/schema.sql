-- The tables of a self-hosted Canvas LMS that a gateway has to do with: names, types,
-- defaults, keys and replica identities are those of the real one, and its columns are
-- all there where a row is written whole. Times are in UTC, without a zone.
--
-- Where Canvas has a table replicated by its own tools, the identity is not the primary
-- key: it is an index with the root account before the id.

CREATE TABLE accounts (
    id bigserial PRIMARY KEY,
    name varchar(255),
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    workflow_state varchar(255) DEFAULT 'active' NOT NULL, -- active, deleted
    deleted_at timestamp,
    parent_account_id bigint REFERENCES accounts, -- of the root account: none
    sis_source_id varchar(255),
    root_account_id bigint NOT NULL REFERENCES accounts DEFERRABLE,
    default_time_zone varchar(255),
    external_status varchar(255) DEFAULT 'active',
    storage_quota bigint,
    settings text,
    uuid varchar(255) UNIQUE,
    default_locale varchar(255),
    lti_guid varchar(255),
    integration_id varchar(255),
    account_calendar_subscription_type varchar(255) DEFAULT 'manual' NOT NULL,
    account_calendar_visible boolean DEFAULT false NOT NULL
);
CREATE INDEX index_accounts_on_parent_account_id_and_root_account_id ON accounts (parent_account_id, root_account_id);

CREATE TABLE users (
    id bigserial PRIMARY KEY,
    name varchar(255),
    sortable_name varchar(255),
    workflow_state varchar(255) NOT NULL, -- pre_registered, registered, creation_pending, deleted
    time_zone varchar(255),
    uuid varchar(255) UNIQUE,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    avatar_image_url varchar(255),
    short_name varchar(255),
    deleted_at timestamp,
    show_user_services boolean DEFAULT true,
    page_views_count integer DEFAULT 0,
    reminder_time_for_due_dates integer DEFAULT 172800,
    reminder_time_for_grading integer DEFAULT 0,
    storage_quota bigint,
    subscribe_to_emails boolean,
    preferences text,
    avatar_state varchar(255),
    locale varchar(255),
    browser_locale varchar(255),
    unread_conversations_count integer DEFAULT 0,
    stuck_sis_fields text,
    public boolean,
    otp_secret_key_enc varchar(255), -- a secret, as is the next
    otp_secret_key_salt varchar(255),
    otp_communication_channel_id bigint,
    initial_enrollment_type varchar(255),
    last_logged_out timestamp,
    lti_context_id varchar(255) UNIQUE,
    turnitin_id bigint,
    lti_id text,
    pronouns varchar,
    root_account_ids bigint[] DEFAULT '{}' NOT NULL,
    merged_into_user_id bigint REFERENCES users
);
CREATE INDEX index_users_on_workflow_state ON users (workflow_state);

CREATE TABLE communication_channels (
    id bigserial PRIMARY KEY,
    path varchar(255) NOT NULL,
    path_type varchar(255) DEFAULT 'email' NOT NULL, -- email, sms, push
    position integer,
    user_id bigint NOT NULL REFERENCES users,
    pseudonym_id bigint,
    bounce_count integer DEFAULT 0,
    workflow_state varchar(255) NOT NULL, -- unconfirmed, active, retired
    confirmation_code varchar(255),
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    build_pseudonym_on_confirm boolean,
    last_bounce_at timestamp,
    last_bounce_details text,
    last_suppression_bounce_at timestamp,
    last_transient_bounce_at timestamp,
    last_transient_bounce_details text,
    confirmation_code_expires_at timestamp,
    confirmation_sent_count integer DEFAULT 0 NOT NULL,
    root_account_ids bigint[],
    confirmation_redirect varchar
);
CREATE INDEX index_communication_channels_on_user_id_and_position ON communication_channels (user_id, position);
CREATE UNIQUE INDEX index_communication_channels_on_user_id_and_path_and_path_type ON communication_channels (user_id, lower(path), path_type);

CREATE TABLE roles (
    id bigserial PRIMARY KEY,
    name varchar(255) NOT NULL,
    base_role_type varchar(255) NOT NULL, -- what a role of one's own is made from
    account_id bigint REFERENCES accounts,
    workflow_state varchar(255) NOT NULL, -- built_in, active, inactive, deleted
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    deleted_at timestamp,
    root_account_id bigint NOT NULL REFERENCES accounts
);

CREATE TABLE account_users (
    id bigserial PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    user_id bigint NOT NULL REFERENCES users,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    role_id bigint NOT NULL REFERENCES roles,
    workflow_state varchar DEFAULT 'active' NOT NULL, -- active, deleted
    sis_batch_id bigint,
    root_account_id bigint NOT NULL REFERENCES accounts
);
CREATE INDEX index_account_users_on_account_id ON account_users (account_id);
CREATE INDEX index_account_users_on_user_id ON account_users (user_id);

CREATE TABLE courses (
    id bigserial PRIMARY KEY,
    name varchar(255),
    account_id bigint NOT NULL REFERENCES accounts,
    group_weighting_scheme varchar(255),
    workflow_state varchar(255) NOT NULL, -- created, claimed, available, completed, deleted
    uuid varchar(255),
    start_at timestamp,
    conclude_at timestamp,
    grading_standard_id bigint,
    is_public boolean,
    allow_student_wiki_edits boolean,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    syllabus_body text,
    default_wiki_editing_roles varchar(255),
    course_code varchar(255),
    default_view varchar(255),
    root_account_id bigint NOT NULL REFERENCES accounts,
    enrollment_term_id bigint NOT NULL,
    sis_source_id varchar(255),
    open_enrollment boolean,
    storage_quota bigint,
    tab_configuration text,
    self_enrollment boolean,
    license varchar(255),
    restrict_enrollments_to_course_dates boolean,
    template_course_id bigint REFERENCES courses,
    locale varchar(255),
    settings text,
    public_description text,
    time_zone varchar(255),
    lti_context_id varchar(255) UNIQUE,
    template boolean DEFAULT false NOT NULL,
    homeroom_course boolean DEFAULT false NOT NULL,
    sync_enrollments_from_homeroom boolean DEFAULT false NOT NULL,
    homeroom_course_id bigint,
    deleted_at timestamp
);
CREATE INDEX index_courses_on_account_id ON courses (account_id);

CREATE TABLE course_sections (
    id bigserial PRIMARY KEY,
    sis_source_id varchar(255),
    sis_batch_id bigint,
    course_id bigint NOT NULL REFERENCES courses,
    root_account_id bigint NOT NULL REFERENCES accounts,
    enrollment_term_id bigint,
    name varchar(255) NOT NULL,
    default_section boolean,
    accepting_enrollments boolean,
    can_manually_enroll boolean,
    start_at timestamp,
    end_at timestamp,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    workflow_state varchar(255) DEFAULT 'active' NOT NULL,
    restrict_enrollments_to_section_dates boolean,
    nonxlist_course_id bigint REFERENCES courses,
    stuck_sis_fields text,
    integration_id varchar(255)
);
CREATE INDEX index_course_sections_on_course_id ON course_sections (course_id);
CREATE UNIQUE INDEX index_course_sections_unique_default_section ON course_sections (course_id)
    WHERE default_section = 't' AND workflow_state <> 'deleted';

-- For every account above a course a row, and once more for each of its sections.
CREATE TABLE course_account_associations (
    id bigserial PRIMARY KEY,
    course_id bigint NOT NULL REFERENCES courses,
    account_id bigint NOT NULL REFERENCES accounts,
    depth integer NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    course_section_id bigint REFERENCES course_sections,
    root_account_id bigint NOT NULL REFERENCES accounts
);
CREATE UNIQUE INDEX index_caa_on_course_id_and_section_id_and_account_id ON course_account_associations (course_id, course_section_id, account_id);
CREATE INDEX index_course_account_associations_on_account_id_and_depth_id ON course_account_associations (account_id, depth);

CREATE TABLE enrollments (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    course_id bigint NOT NULL REFERENCES courses,
    type varchar(255) NOT NULL, -- StudentEnrollment, TeacherEnrollment, TaEnrollment, DesignerEnrollment, ObserverEnrollment, StudentViewEnrollment
    uuid varchar(255),
    workflow_state varchar(255) NOT NULL, -- invited, creation_pending, active, completed, inactive, rejected, deleted
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL,
    associated_user_id bigint REFERENCES users, -- whom an observer observes
    sis_batch_id bigint,
    start_at timestamp,
    end_at timestamp,
    course_section_id bigint NOT NULL REFERENCES course_sections,
    root_account_id bigint NOT NULL REFERENCES accounts,
    completed_at timestamp,
    self_enrolled boolean,
    grade_publishing_status varchar(255) DEFAULT 'unpublished',
    last_publish_attempt_at timestamp,
    stuck_sis_fields text,
    grade_publishing_message text,
    limit_privileges_to_course_section boolean DEFAULT false NOT NULL,
    last_activity_at timestamp,
    total_activity_time integer,
    role_id bigint NOT NULL REFERENCES roles,
    graded_at timestamp,
    sis_pseudonym_id bigint,
    last_attended_at timestamp,
    temporary_enrollment_source_user_id bigint REFERENCES users,
    temporary_enrollment_pairing_id bigint
);
CREATE INDEX index_enrollments_on_course_id_and_user_id ON enrollments (course_id, user_id);
CREATE INDEX index_enrollments_on_user_id ON enrollments (user_id);
CREATE UNIQUE INDEX index_enrollments_on_user_type_role_section ON enrollments (user_id, type, role_id, course_section_id)
    WHERE associated_user_id IS NULL;

CREATE TABLE assignments (
    id bigserial PRIMARY KEY,
    title varchar(255),
    description text,
    due_at timestamp,
    unlock_at timestamp,
    lock_at timestamp,
    points_possible double precision,
    min_score double precision,
    max_score double precision,
    mastery_score double precision,
    grading_type varchar(255),
    submission_types varchar(255),
    workflow_state varchar(255) DEFAULT 'published' NOT NULL, -- unpublished, published, duplicating, importing, deleted
    context_id bigint NOT NULL,
    context_type varchar(255) NOT NULL, -- Course
    assignment_group_id bigint,
    grading_standard_id bigint,
    created_at timestamp,
    updated_at timestamp,
    group_category varchar(255),
    submissions_downloads integer DEFAULT 0,
    peer_review_count integer DEFAULT 0,
    peer_reviews_due_at timestamp,
    peer_reviews_assigned boolean DEFAULT false NOT NULL,
    peer_reviews boolean DEFAULT false NOT NULL,
    automatic_peer_reviews boolean DEFAULT false NOT NULL,
    all_day boolean DEFAULT false NOT NULL,
    all_day_date date,
    could_be_locked boolean DEFAULT false NOT NULL,
    position integer,
    migration_id varchar(255),
    grade_group_students_individually boolean DEFAULT false NOT NULL,
    anonymous_peer_reviews boolean DEFAULT false NOT NULL,
    time_zone_edited varchar(255),
    turnitin_enabled boolean DEFAULT false NOT NULL,
    allowed_extensions varchar(255),
    turnitin_settings text,
    muted boolean DEFAULT false NOT NULL,
    group_category_id bigint,
    freeze_on_copy boolean DEFAULT false NOT NULL,
    copied boolean DEFAULT false NOT NULL,
    only_visible_to_overrides boolean DEFAULT false NOT NULL,
    post_to_sis boolean DEFAULT false NOT NULL,
    integration_id varchar(255),
    integration_data text,
    moderated_grading boolean DEFAULT false NOT NULL,
    grades_published_at timestamp,
    omit_from_final_grade boolean DEFAULT false NOT NULL,
    vericite_enabled boolean DEFAULT false NOT NULL,
    intra_group_peer_reviews boolean DEFAULT false NOT NULL,
    lti_context_id varchar UNIQUE,
    anonymous_instructor_annotations boolean DEFAULT false NOT NULL,
    duplicate_of_id bigint REFERENCES assignments,
    anonymous_grading boolean DEFAULT false,
    graders_anonymous_to_graders boolean DEFAULT false,
    grader_count integer DEFAULT 0,
    grader_comments_visible_to_graders boolean DEFAULT true,
    grader_section_id bigint REFERENCES course_sections,
    final_grader_id bigint REFERENCES users,
    grader_names_visible_to_final_grader boolean DEFAULT true,
    allowed_attempts integer,
    root_account_id bigint NOT NULL REFERENCES accounts,
    sis_source_id varchar,
    settings jsonb,
    important_dates boolean DEFAULT false NOT NULL,
    hide_in_gradebook boolean DEFAULT false NOT NULL,
    ab_guid varchar[] DEFAULT '{}' NOT NULL,
    parent_assignment_id bigint REFERENCES assignments,
    type varchar(255) DEFAULT 'Assignment' NOT NULL, -- or SubAssignment
    sub_assignment_tag varchar(255),
    has_sub_assignments boolean DEFAULT false NOT NULL
);
CREATE INDEX index_assignments_on_context_id_and_context_type ON assignments (context_id, context_type);
CREATE INDEX index_assignments_active ON assignments (context_id) WHERE context_type = 'Course' AND workflow_state <> 'deleted';

CREATE TABLE submissions (
    id bigserial PRIMARY KEY,
    body text,
    url varchar(255),
    attachment_id bigint,
    grade varchar(255),
    score double precision,
    submitted_at timestamp,
    assignment_id bigint NOT NULL REFERENCES assignments,
    user_id bigint NOT NULL REFERENCES users DEFERRABLE,
    submission_type varchar(255), -- online_text_entry, online_upload, online_quiz, on_paper, …
    workflow_state varchar(255) NOT NULL, -- unsubmitted, submitted, pending_review, graded, deleted
    created_at timestamp,
    updated_at timestamp,
    group_id bigint, -- of a team's work; each of the team has a row
    attachment_ids text,
    processed boolean,
    grade_matches_current_submission boolean,
    published_score double precision,
    published_grade varchar(255),
    graded_at timestamp,
    student_entered_score double precision,
    grader_id bigint, -- of a quiz and a tool: negative
    media_comment_id varchar(255),
    media_comment_type varchar(255),
    quiz_submission_id bigint,
    submission_comments_count integer,
    attempt integer,
    media_object_id bigint,
    turnitin_data text,
    cached_due_date timestamp,
    excused boolean,
    graded_anonymously boolean,
    late_policy_status varchar(16),
    points_deducted numeric(6, 2),
    grading_period_id bigint,
    seconds_late_override bigint,
    lti_user_id varchar,
    anonymous_id varchar(5),
    last_comment_at timestamp,
    extra_attempts integer,
    posted_at timestamp, -- since when the student may see the grade
    cached_quiz_lti boolean DEFAULT false NOT NULL,
    cached_tardiness varchar(16),
    course_id bigint NOT NULL REFERENCES courses,
    root_account_id bigint REFERENCES accounts,
    redo_request boolean DEFAULT false NOT NULL,
    resource_link_lookup_uuid uuid,
    proxy_submitter_id bigint REFERENCES users,
    custom_grade_status_id bigint,
    sticker varchar(255)
);
CREATE UNIQUE INDEX index_submissions_on_user_id_and_assignment_id ON submissions (user_id, assignment_id);
CREATE INDEX index_submissions_on_assignment_id_and_user_id ON submissions (assignment_id, user_id);
CREATE UNIQUE INDEX index_submissions_on_assignment_id_and_anonymous_id ON submissions (assignment_id, anonymous_id) WHERE anonymous_id IS NOT NULL;
CREATE INDEX index_submissions_needs_grading ON submissions (assignment_id)
    WHERE submission_type IS NOT NULL AND (excused = 'f' OR excused IS NULL)
        AND (workflow_state = 'pending_review'
            OR workflow_state IN ('submitted', 'graded') AND (score IS NULL OR NOT grade_matches_current_submission));

-- Busy, and none of our business: what a submission was, each time it was saved.
CREATE TABLE versions (
    id bigserial PRIMARY KEY,
    versionable_id bigint,
    versionable_type varchar(255),
    number integer,
    yaml text,
    created_at timestamp
);
CREATE UNIQUE INDEX index_versions_on_versionable_object_and_number ON versions (versionable_id, versionable_type, number);

-- Busy as well: who looked at what.
CREATE TABLE asset_user_accesses (
    id bigserial PRIMARY KEY,
    asset_code varchar(255),
    asset_group_code varchar(255),
    user_id bigint,
    context_id bigint,
    context_type varchar(255),
    last_access timestamp,
    created_at timestamp,
    updated_at timestamp,
    asset_category varchar(255),
    view_score double precision,
    participate_score double precision,
    action_level varchar(255),
    display_name text,
    membership_type varchar(255),
    root_account_id bigint NOT NULL
);
CREATE INDEX index_asset_user_accesses_on_user_id_and_asset_code ON asset_user_accesses (user_id, asset_code);

-- The identities. Of users it is an array that comes first.
CREATE UNIQUE INDEX index_accounts_replica_identity ON accounts (root_account_id, id);
ALTER TABLE accounts REPLICA IDENTITY USING INDEX index_accounts_replica_identity;
CREATE UNIQUE INDEX index_users_replica_identity ON users (root_account_ids, id);
ALTER TABLE users REPLICA IDENTITY USING INDEX index_users_replica_identity;
CREATE UNIQUE INDEX index_roles_replica_identity ON roles (root_account_id, id);
ALTER TABLE roles REPLICA IDENTITY USING INDEX index_roles_replica_identity;
CREATE UNIQUE INDEX index_account_users_replica_identity ON account_users (root_account_id, id);
ALTER TABLE account_users REPLICA IDENTITY USING INDEX index_account_users_replica_identity;
CREATE UNIQUE INDEX index_courses_replica_identity ON courses (root_account_id, id);
ALTER TABLE courses REPLICA IDENTITY USING INDEX index_courses_replica_identity;
CREATE UNIQUE INDEX index_course_sections_replica_identity ON course_sections (root_account_id, id);
ALTER TABLE course_sections REPLICA IDENTITY USING INDEX index_course_sections_replica_identity;
CREATE UNIQUE INDEX index_course_account_associations_replica_identity ON course_account_associations (root_account_id, id);
ALTER TABLE course_account_associations REPLICA IDENTITY USING INDEX index_course_account_associations_replica_identity;
CREATE UNIQUE INDEX index_enrollments_replica_identity ON enrollments (root_account_id, id);
ALTER TABLE enrollments REPLICA IDENTITY USING INDEX index_enrollments_replica_identity;
CREATE UNIQUE INDEX index_asset_user_accesses_replica_identity ON asset_user_accesses (root_account_id, id);
ALTER TABLE asset_user_accesses REPLICA IDENTITY USING INDEX index_asset_user_accesses_replica_identity;
