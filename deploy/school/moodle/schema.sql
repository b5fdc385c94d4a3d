-- Tables of Moodle 4 as its installer makes them on PostgreSQL: the prefix mdl_, bigint ids
-- from sequences, times as seconds since 1970 with 0 for none, no foreign keys, and index
-- names made of the first letters. Of its more than 400 tables these are the ones that say
-- who is who and what became of the assignments, and some busy ones beside them.

CREATE TABLE mdl_config (
    id bigserial CONSTRAINT mdl_conf_id_pk PRIMARY KEY,
    name varchar(255) NOT NULL DEFAULT '',
    value text NOT NULL
);
CREATE UNIQUE INDEX mdl_conf_nam_uix ON mdl_config (name);

CREATE TABLE mdl_user (
    id bigserial CONSTRAINT mdl_user_id_pk PRIMARY KEY,
    auth varchar(20) NOT NULL DEFAULT 'manual',
    confirmed smallint NOT NULL DEFAULT 0,
    policyagreed smallint NOT NULL DEFAULT 0,
    deleted smallint NOT NULL DEFAULT 0,
    suspended smallint NOT NULL DEFAULT 0,
    mnethostid bigint NOT NULL DEFAULT 0,
    username varchar(100) NOT NULL DEFAULT '',
    password varchar(255) NOT NULL DEFAULT '',
    idnumber varchar(255) NOT NULL DEFAULT '',
    firstname varchar(100) NOT NULL DEFAULT '',
    lastname varchar(100) NOT NULL DEFAULT '',
    email varchar(100) NOT NULL DEFAULT '',
    emailstop smallint NOT NULL DEFAULT 0,
    phone1 varchar(20) NOT NULL DEFAULT '',
    phone2 varchar(20) NOT NULL DEFAULT '',
    institution varchar(255) NOT NULL DEFAULT '',
    department varchar(255) NOT NULL DEFAULT '',
    address varchar(255) NOT NULL DEFAULT '',
    city varchar(120) NOT NULL DEFAULT '',
    country varchar(2) NOT NULL DEFAULT '',
    lang varchar(30) NOT NULL DEFAULT 'en',
    calendartype varchar(30) NOT NULL DEFAULT 'gregorian',
    theme varchar(50) NOT NULL DEFAULT '',
    timezone varchar(100) NOT NULL DEFAULT '99',
    firstaccess bigint NOT NULL DEFAULT 0,
    lastaccess bigint NOT NULL DEFAULT 0,
    lastlogin bigint NOT NULL DEFAULT 0,
    currentlogin bigint NOT NULL DEFAULT 0,
    lastip varchar(45) NOT NULL DEFAULT '',
    secret varchar(15) NOT NULL DEFAULT '',
    picture bigint NOT NULL DEFAULT 0,
    description text,
    descriptionformat smallint NOT NULL DEFAULT 1,
    mailformat smallint NOT NULL DEFAULT 1,
    maildigest smallint NOT NULL DEFAULT 0,
    maildisplay smallint NOT NULL DEFAULT 2,
    autosubscribe smallint NOT NULL DEFAULT 1,
    trackforums smallint NOT NULL DEFAULT 0,
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0,
    trustbitmask bigint NOT NULL DEFAULT 0,
    imagealt varchar(255),
    lastnamephonetic varchar(255),
    firstnamephonetic varchar(255),
    middlename varchar(255),
    alternatename varchar(255),
    moodlenetprofile varchar(255)
);
CREATE UNIQUE INDEX mdl_user_mneuse_uix ON mdl_user (mnethostid, username);
CREATE INDEX mdl_user_del_ix ON mdl_user (deleted);
CREATE INDEX mdl_user_con_ix ON mdl_user (confirmed);
CREATE INDEX mdl_user_fir_ix ON mdl_user (firstname);
CREATE INDEX mdl_user_las_ix ON mdl_user (lastname);
CREATE INDEX mdl_user_cit_ix ON mdl_user (city);
CREATE INDEX mdl_user_cou_ix ON mdl_user (country);
CREATE INDEX mdl_user_las2_ix ON mdl_user (lastaccess);
CREATE INDEX mdl_user_ema_ix ON mdl_user (email);
CREATE INDEX mdl_user_aut_ix ON mdl_user (auth);
CREATE INDEX mdl_user_idn_ix ON mdl_user (idnumber);

CREATE TABLE mdl_course_categories (
    id bigserial CONSTRAINT mdl_courcate_id_pk PRIMARY KEY,
    name varchar(255) NOT NULL DEFAULT '',
    idnumber varchar(100),
    description text,
    descriptionformat smallint NOT NULL DEFAULT 0,
    parent bigint NOT NULL DEFAULT 0,
    sortorder bigint NOT NULL DEFAULT 0,
    coursecount bigint NOT NULL DEFAULT 0,
    visible smallint NOT NULL DEFAULT 1,
    visibleold smallint NOT NULL DEFAULT 1,
    timemodified bigint NOT NULL DEFAULT 0,
    depth bigint NOT NULL DEFAULT 0,
    path varchar(255) NOT NULL DEFAULT '',
    theme varchar(50)
);
CREATE INDEX mdl_courcate_par_ix ON mdl_course_categories (parent);

CREATE TABLE mdl_course (
    id bigserial CONSTRAINT mdl_cour_id_pk PRIMARY KEY,
    category bigint NOT NULL DEFAULT 0,
    sortorder bigint NOT NULL DEFAULT 0,
    fullname varchar(254) NOT NULL DEFAULT '',
    shortname varchar(255) NOT NULL DEFAULT '',
    idnumber varchar(100) NOT NULL DEFAULT '',
    summary text,
    summaryformat smallint NOT NULL DEFAULT 0,
    format varchar(21) NOT NULL DEFAULT 'topics',
    showgrades smallint NOT NULL DEFAULT 1,
    newsitems integer NOT NULL DEFAULT 1,
    startdate bigint NOT NULL DEFAULT 0,
    enddate bigint NOT NULL DEFAULT 0,
    relativedatesmode smallint NOT NULL DEFAULT 0,
    marker bigint NOT NULL DEFAULT 0,
    maxbytes bigint NOT NULL DEFAULT 0,
    legacyfiles smallint NOT NULL DEFAULT 0,
    showreports smallint NOT NULL DEFAULT 0,
    visible smallint NOT NULL DEFAULT 1,
    visibleold smallint NOT NULL DEFAULT 1,
    downloadcontent smallint,
    groupmode smallint NOT NULL DEFAULT 0,
    groupmodeforce smallint NOT NULL DEFAULT 0,
    defaultgroupingid bigint NOT NULL DEFAULT 0,
    lang varchar(30) NOT NULL DEFAULT '',
    calendartype varchar(30) NOT NULL DEFAULT '',
    theme varchar(50) NOT NULL DEFAULT '',
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0,
    requested smallint NOT NULL DEFAULT 0,
    enablecompletion smallint NOT NULL DEFAULT 0,
    completionnotify smallint NOT NULL DEFAULT 0,
    cacherev bigint NOT NULL DEFAULT 0,
    originalcourseid bigint,
    showactivitydates smallint NOT NULL DEFAULT 0,
    showcompletionconditions smallint,
    pdfexportfont varchar(50)
);
CREATE INDEX mdl_cour_cat_ix ON mdl_course (category);
CREATE INDEX mdl_cour_idn_ix ON mdl_course (idnumber);
CREATE INDEX mdl_cour_sho_ix ON mdl_course (shortname);
CREATE INDEX mdl_cour_sor_ix ON mdl_course (sortorder);
CREATE INDEX mdl_cour_ori_ix ON mdl_course (originalcourseid);

CREATE TABLE mdl_modules (
    id bigserial CONSTRAINT mdl_modu_id_pk PRIMARY KEY,
    name varchar(20) NOT NULL DEFAULT '',
    cron bigint NOT NULL DEFAULT 0,
    lastcron bigint NOT NULL DEFAULT 0,
    search varchar(255) NOT NULL DEFAULT '',
    visible smallint NOT NULL DEFAULT 1
);
CREATE INDEX mdl_modu_nam_ix ON mdl_modules (name);

CREATE TABLE mdl_course_modules (
    id bigserial CONSTRAINT mdl_courmodu_id_pk PRIMARY KEY,
    course bigint NOT NULL DEFAULT 0,
    module bigint NOT NULL DEFAULT 0,
    instance bigint NOT NULL DEFAULT 0,
    section bigint NOT NULL DEFAULT 0,
    idnumber varchar(100),
    added bigint NOT NULL DEFAULT 0,
    score smallint NOT NULL DEFAULT 0,
    indent integer NOT NULL DEFAULT 0,
    visible smallint NOT NULL DEFAULT 1,
    visibleoncoursepage smallint NOT NULL DEFAULT 1,
    visibleold smallint NOT NULL DEFAULT 1,
    groupmode smallint NOT NULL DEFAULT 0,
    groupingid bigint NOT NULL DEFAULT 0,
    completion smallint NOT NULL DEFAULT 0,
    completiongradeitemnumber bigint,
    completionview smallint NOT NULL DEFAULT 0,
    completionexpected bigint NOT NULL DEFAULT 0,
    completionpassgrade smallint NOT NULL DEFAULT 0,
    showdescription smallint NOT NULL DEFAULT 0,
    availability text,
    deletioninprogress smallint NOT NULL DEFAULT 0,
    downloadcontent smallint DEFAULT 1,
    lang varchar(30)
);
CREATE INDEX mdl_courmodu_vis_ix ON mdl_course_modules (visible);
CREATE INDEX mdl_courmodu_cou_ix ON mdl_course_modules (course);
CREATE INDEX mdl_courmodu_mod_ix ON mdl_course_modules (module);
CREATE INDEX mdl_courmodu_ins_ix ON mdl_course_modules (instance);
CREATE INDEX mdl_courmodu_idncou_ix ON mdl_course_modules (idnumber, course);
CREATE INDEX mdl_courmodu_gro_ix ON mdl_course_modules (groupingid);

CREATE TABLE mdl_assign (
    id bigserial CONSTRAINT mdl_assi_id_pk PRIMARY KEY,
    course bigint NOT NULL DEFAULT 0,
    name varchar(255) NOT NULL DEFAULT '',
    intro text NOT NULL,
    introformat smallint NOT NULL DEFAULT 0,
    alwaysshowdescription smallint NOT NULL DEFAULT 0,
    nosubmissions smallint NOT NULL DEFAULT 0,
    submissiondrafts smallint NOT NULL DEFAULT 0,
    sendnotifications smallint NOT NULL DEFAULT 0,
    sendlatenotifications smallint NOT NULL DEFAULT 0,
    duedate bigint NOT NULL DEFAULT 0,
    allowsubmissionsfromdate bigint NOT NULL DEFAULT 0,
    grade bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0,
    requiresubmissionstatement smallint NOT NULL DEFAULT 0,
    completionsubmit smallint NOT NULL DEFAULT 0,
    cutoffdate bigint NOT NULL DEFAULT 0,
    gradingduedate bigint NOT NULL DEFAULT 0,
    teamsubmission smallint NOT NULL DEFAULT 0,
    requireallteammemberssubmit smallint NOT NULL DEFAULT 0,
    teamsubmissiongroupingid bigint NOT NULL DEFAULT 0,
    blindmarking smallint NOT NULL DEFAULT 0,
    hidegrader smallint NOT NULL DEFAULT 0,
    revealidentities smallint NOT NULL DEFAULT 0,
    attemptreopenmethod varchar(10) NOT NULL DEFAULT 'none',
    maxattempts integer NOT NULL DEFAULT -1,
    markingworkflow smallint NOT NULL DEFAULT 0,
    markingallocation smallint NOT NULL DEFAULT 0,
    sendstudentnotifications smallint NOT NULL DEFAULT 1,
    preventsubmissionnotingroup smallint NOT NULL DEFAULT 0,
    activity text,
    activityformat smallint NOT NULL DEFAULT 0,
    timelimit bigint NOT NULL DEFAULT 0,
    submissionattachments smallint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_assi_cou_ix ON mdl_assign (course);
CREATE INDEX mdl_assi_tea_ix ON mdl_assign (teamsubmissiongroupingid);

CREATE TABLE mdl_assign_submission (
    id bigserial CONSTRAINT mdl_assisubm_id_pk PRIMARY KEY,
    assignment bigint NOT NULL DEFAULT 0,
    userid bigint NOT NULL DEFAULT 0,
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0,
    timestarted bigint,
    status varchar(10), -- new, reopened, draft, submitted
    groupid bigint NOT NULL DEFAULT 0,
    attemptnumber bigint NOT NULL DEFAULT 0,
    latest smallint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_assisubm_use_ix ON mdl_assign_submission (userid);
CREATE INDEX mdl_assisubm_att_ix ON mdl_assign_submission (attemptnumber);
CREATE UNIQUE INDEX mdl_assisubm_assusegroatt_uix ON mdl_assign_submission (assignment, userid, groupid, attemptnumber);
CREATE INDEX mdl_assisubm_assusegrolat_ix ON mdl_assign_submission (assignment, userid, groupid, latest);
CREATE INDEX mdl_assisubm_ass_ix ON mdl_assign_submission (assignment);

CREATE TABLE mdl_assignsubmission_onlinetext (
    id bigserial CONSTRAINT mdl_assionli_id_pk PRIMARY KEY,
    assignment bigint NOT NULL DEFAULT 0,
    submission bigint NOT NULL DEFAULT 0,
    onlinetext text,
    onlineformat smallint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_assionli_ass_ix ON mdl_assignsubmission_onlinetext (assignment);
CREATE INDEX mdl_assionli_sub_ix ON mdl_assignsubmission_onlinetext (submission);

CREATE TABLE mdl_assign_grades (
    id bigserial CONSTRAINT mdl_assigrad_id_pk PRIMARY KEY,
    assignment bigint NOT NULL DEFAULT 0,
    userid bigint NOT NULL DEFAULT 0,
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0,
    grader bigint NOT NULL DEFAULT 0,
    grade numeric(10,5) DEFAULT 0, -- -1: none yet
    attemptnumber bigint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_assigrad_use_ix ON mdl_assign_grades (userid);
CREATE INDEX mdl_assigrad_att_ix ON mdl_assign_grades (attemptnumber);
CREATE UNIQUE INDEX mdl_assigrad_assuseatt_uix ON mdl_assign_grades (assignment, userid, attemptnumber);
CREATE INDEX mdl_assigrad_ass_ix ON mdl_assign_grades (assignment);

CREATE TABLE mdl_assign_user_flags (
    id bigserial CONSTRAINT mdl_assiuserflag_id_pk PRIMARY KEY,
    userid bigint NOT NULL DEFAULT 0,
    assignment bigint NOT NULL DEFAULT 0,
    locked bigint NOT NULL DEFAULT 0,
    mailed smallint NOT NULL DEFAULT 0,
    extensionduedate bigint NOT NULL DEFAULT 0,
    workflowstate varchar(20), -- notmarked, inmarking, readyforreview, inreview, readyforrelease, released
    allocatedmarker bigint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_assiuserflag_mai_ix ON mdl_assign_user_flags (mailed);
CREATE INDEX mdl_assiuserflag_use_ix ON mdl_assign_user_flags (userid);
CREATE INDEX mdl_assiuserflag_ass_ix ON mdl_assign_user_flags (assignment);

CREATE TABLE mdl_grade_items (
    id bigserial CONSTRAINT mdl_graditem_id_pk PRIMARY KEY,
    courseid bigint,
    categoryid bigint,
    itemname varchar(255),
    itemtype varchar(30) NOT NULL DEFAULT '',
    itemmodule varchar(30),
    iteminstance bigint,
    itemnumber bigint,
    iteminfo text,
    idnumber varchar(255),
    calculation text,
    gradetype smallint NOT NULL DEFAULT 1,
    grademax numeric(10,5) NOT NULL DEFAULT 100,
    grademin numeric(10,5) NOT NULL DEFAULT 0,
    scaleid bigint,
    outcomeid bigint,
    gradepass numeric(10,5) NOT NULL DEFAULT 0,
    multfactor numeric(10,5) NOT NULL DEFAULT 1.0,
    plusfactor numeric(10,5) NOT NULL DEFAULT 0,
    aggregationcoef numeric(10,5) NOT NULL DEFAULT 0,
    aggregationcoef2 numeric(10,5) NOT NULL DEFAULT 0,
    sortorder bigint NOT NULL DEFAULT 0,
    display bigint NOT NULL DEFAULT 0,
    decimals smallint,
    hidden bigint NOT NULL DEFAULT 0,
    locked bigint NOT NULL DEFAULT 0,
    locktime bigint NOT NULL DEFAULT 0,
    needsupdate bigint NOT NULL DEFAULT 0,
    weightoverride smallint NOT NULL DEFAULT 0,
    timecreated bigint,
    timemodified bigint
);
CREATE INDEX mdl_graditem_locloc_ix ON mdl_grade_items (locked, locktime);
CREATE INDEX mdl_graditem_itenee_ix ON mdl_grade_items (itemtype, needsupdate);
CREATE INDEX mdl_graditem_gra_ix ON mdl_grade_items (gradetype);
CREATE INDEX mdl_graditem_idncou_ix ON mdl_grade_items (idnumber, courseid);
CREATE INDEX mdl_graditem_iteiteitecou_ix ON mdl_grade_items (itemtype, itemmodule, iteminstance, courseid);
CREATE INDEX mdl_graditem_cou_ix ON mdl_grade_items (courseid);

CREATE TABLE mdl_grade_grades (
    id bigserial CONSTRAINT mdl_gradgrad_id_pk PRIMARY KEY,
    itemid bigint NOT NULL,
    userid bigint NOT NULL,
    rawgrade numeric(10,5),
    rawgrademax numeric(10,5) NOT NULL DEFAULT 100,
    rawgrademin numeric(10,5) NOT NULL DEFAULT 0,
    rawscaleid bigint,
    usermodified bigint,
    finalgrade numeric(10,5),
    hidden bigint NOT NULL DEFAULT 0,
    locked bigint NOT NULL DEFAULT 0,
    locktime bigint NOT NULL DEFAULT 0,
    exported bigint NOT NULL DEFAULT 0,
    overridden bigint NOT NULL DEFAULT 0,
    excluded bigint NOT NULL DEFAULT 0,
    feedback text,
    feedbackformat bigint NOT NULL DEFAULT 0,
    information text,
    informationformat bigint NOT NULL DEFAULT 0,
    timecreated bigint,
    timemodified bigint,
    aggregationstatus varchar(10) NOT NULL DEFAULT 'unknown',
    aggregationweight numeric(10,5)
);
CREATE INDEX mdl_gradgrad_locloc_ix ON mdl_grade_grades (locked, locktime);
CREATE UNIQUE INDEX mdl_gradgrad_useite_uix ON mdl_grade_grades (userid, itemid);
CREATE INDEX mdl_gradgrad_ite_ix ON mdl_grade_grades (itemid);
CREATE INDEX mdl_gradgrad_use_ix ON mdl_grade_grades (userid);

CREATE TABLE mdl_context (
    id bigserial CONSTRAINT mdl_cont_id_pk PRIMARY KEY,
    contextlevel bigint NOT NULL DEFAULT 0, -- 10 system, 30 user, 40 category, 50 course, 70 module
    instanceid bigint NOT NULL DEFAULT 0,
    path varchar(255), -- ids from the system down to this one: /1/3/25
    depth smallint NOT NULL DEFAULT 0,
    locked smallint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX mdl_cont_conins_uix ON mdl_context (contextlevel, instanceid);
CREATE INDEX mdl_cont_ins_ix ON mdl_context (instanceid);
CREATE INDEX mdl_cont_pat_ix ON mdl_context (path varchar_pattern_ops);

CREATE TABLE mdl_role (
    id bigserial CONSTRAINT mdl_role_id_pk PRIMARY KEY,
    name varchar(255) NOT NULL DEFAULT '',
    shortname varchar(100) NOT NULL DEFAULT '',
    description text NOT NULL,
    sortorder bigint NOT NULL DEFAULT 0,
    archetype varchar(30) NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX mdl_role_sor_uix ON mdl_role (sortorder);
CREATE UNIQUE INDEX mdl_role_sho_uix ON mdl_role (shortname);

CREATE TABLE mdl_role_capabilities (
    id bigserial CONSTRAINT mdl_rolecapa_id_pk PRIMARY KEY,
    contextid bigint NOT NULL DEFAULT 0,
    roleid bigint NOT NULL DEFAULT 0,
    capability varchar(255) NOT NULL DEFAULT '',
    permission bigint NOT NULL DEFAULT 0, -- 1 allow, -1 prevent, -1000 prohibit
    timemodified bigint NOT NULL DEFAULT 0,
    modifierid bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX mdl_rolecapa_rolconcap_uix ON mdl_role_capabilities (roleid, contextid, capability);
CREATE INDEX mdl_rolecapa_rol_ix ON mdl_role_capabilities (roleid);
CREATE INDEX mdl_rolecapa_con_ix ON mdl_role_capabilities (contextid);
CREATE INDEX mdl_rolecapa_mod_ix ON mdl_role_capabilities (modifierid);
CREATE INDEX mdl_rolecapa_cap_ix ON mdl_role_capabilities (capability);

CREATE TABLE mdl_role_assignments (
    id bigserial CONSTRAINT mdl_roleassi_id_pk PRIMARY KEY,
    roleid bigint NOT NULL DEFAULT 0,
    contextid bigint NOT NULL DEFAULT 0,
    userid bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0,
    modifierid bigint NOT NULL DEFAULT 0,
    component varchar(100) NOT NULL DEFAULT '',
    itemid bigint NOT NULL DEFAULT 0,
    sortorder bigint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_roleassi_sor_ix ON mdl_role_assignments (sortorder);
CREATE INDEX mdl_roleassi_rolcon_ix ON mdl_role_assignments (roleid, contextid);
CREATE INDEX mdl_roleassi_useconrol_ix ON mdl_role_assignments (userid, contextid, roleid);
CREATE INDEX mdl_roleassi_comiteuse_ix ON mdl_role_assignments (component, itemid, userid);
CREATE INDEX mdl_roleassi_rol_ix ON mdl_role_assignments (roleid);
CREATE INDEX mdl_roleassi_con_ix ON mdl_role_assignments (contextid);
CREATE INDEX mdl_roleassi_use_ix ON mdl_role_assignments (userid);

CREATE TABLE mdl_enrol (
    id bigserial CONSTRAINT mdl_enro_id_pk PRIMARY KEY,
    enrol varchar(20) NOT NULL DEFAULT '',
    status bigint NOT NULL DEFAULT 0, -- 0 enabled, 1 disabled
    courseid bigint NOT NULL,
    sortorder bigint NOT NULL DEFAULT 0,
    name varchar(255),
    enrolperiod bigint DEFAULT 0,
    enrolstartdate bigint DEFAULT 0,
    enrolenddate bigint DEFAULT 0,
    expirynotify smallint DEFAULT 0,
    expirythreshold bigint DEFAULT 0,
    notifyall smallint DEFAULT 0,
    password varchar(50),
    cost varchar(20),
    currency varchar(3),
    roleid bigint DEFAULT 0,
    customint1 bigint,
    customint2 bigint,
    customint3 bigint,
    customint4 bigint,
    customint5 bigint,
    customint6 bigint,
    customint7 bigint,
    customint8 bigint,
    customchar1 varchar(255),
    customchar2 varchar(255),
    customchar3 varchar(1333),
    customdec1 numeric(12,7),
    customdec2 numeric(12,7),
    customtext1 text,
    customtext2 text,
    customtext3 text,
    customtext4 text,
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_enro_enr_ix ON mdl_enrol (enrol);
CREATE INDEX mdl_enro_cou_ix ON mdl_enrol (courseid);

CREATE TABLE mdl_user_enrolments (
    id bigserial CONSTRAINT mdl_userenro_id_pk PRIMARY KEY,
    status bigint NOT NULL DEFAULT 0, -- 0 active, 1 suspended
    enrolid bigint NOT NULL,
    userid bigint NOT NULL,
    timestart bigint NOT NULL DEFAULT 0,
    timeend bigint NOT NULL DEFAULT 2147483647, -- 0: never
    modifierid bigint NOT NULL DEFAULT 0,
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX mdl_userenro_enruse_uix ON mdl_user_enrolments (enrolid, userid);
CREATE INDEX mdl_userenro_enr_ix ON mdl_user_enrolments (enrolid);
CREATE INDEX mdl_userenro_use_ix ON mdl_user_enrolments (userid);
CREATE INDEX mdl_userenro_mod_ix ON mdl_user_enrolments (modifierid);

CREATE TABLE mdl_groups (
    id bigserial CONSTRAINT mdl_grou_id_pk PRIMARY KEY,
    courseid bigint NOT NULL,
    idnumber varchar(100) NOT NULL DEFAULT '',
    name varchar(254) NOT NULL DEFAULT '',
    description text,
    descriptionformat smallint NOT NULL DEFAULT 0,
    enrolmentkey varchar(50),
    picture bigint NOT NULL DEFAULT 0,
    visibility smallint NOT NULL DEFAULT 0,
    participation smallint NOT NULL DEFAULT 1,
    timecreated bigint NOT NULL DEFAULT 0,
    timemodified bigint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_grou_idn2_ix ON mdl_groups (idnumber);
CREATE INDEX mdl_grou_cou_ix ON mdl_groups (courseid);

CREATE TABLE mdl_groups_members (
    id bigserial CONSTRAINT mdl_groumemb_id_pk PRIMARY KEY,
    groupid bigint NOT NULL DEFAULT 0,
    userid bigint NOT NULL DEFAULT 0,
    timeadded bigint NOT NULL DEFAULT 0,
    component varchar(100) NOT NULL DEFAULT '',
    itemid bigint NOT NULL DEFAULT 0
);
CREATE INDEX mdl_groumemb_gro_ix ON mdl_groups_members (groupid);
CREATE INDEX mdl_groumemb_use_ix ON mdl_groups_members (userid);
CREATE UNIQUE INDEX mdl_groumemb_usegro_uix ON mdl_groups_members (userid, groupid);

CREATE TABLE mdl_external_services (
    id bigserial CONSTRAINT mdl_exteserv_id_pk PRIMARY KEY,
    name varchar(200) NOT NULL DEFAULT '',
    enabled smallint NOT NULL,
    requiredcapability varchar(150),
    restrictedusers smallint NOT NULL,
    component varchar(100),
    timecreated bigint NOT NULL,
    timemodified bigint,
    shortname varchar(255),
    downloadfiles smallint NOT NULL DEFAULT 0,
    uploadfiles smallint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX mdl_exteserv_nam_uix ON mdl_external_services (name);

CREATE TABLE mdl_external_tokens (
    id bigserial CONSTRAINT mdl_extetoke_id_pk PRIMARY KEY,
    token varchar(128) NOT NULL DEFAULT '',
    privatetoken varchar(64),
    tokentype smallint NOT NULL,
    userid bigint NOT NULL,
    externalserviceid bigint NOT NULL,
    sid varchar(128),
    contextid bigint NOT NULL,
    creatorid bigint NOT NULL DEFAULT 1,
    iprestriction varchar(255),
    validuntil bigint,
    timecreated bigint NOT NULL,
    lastaccess bigint,
    name varchar(255)
);
CREATE INDEX mdl_extetoke_tok_ix ON mdl_external_tokens (token);
CREATE INDEX mdl_extetoke_sid_ix ON mdl_external_tokens (sid);
CREATE INDEX mdl_extetoke_use_ix ON mdl_external_tokens (userid);
CREATE INDEX mdl_extetoke_ext_ix ON mdl_external_tokens (externalserviceid);
CREATE INDEX mdl_extetoke_con_ix ON mdl_external_tokens (contextid);
CREATE INDEX mdl_extetoke_cre_ix ON mdl_external_tokens (creatorid);

CREATE TABLE mdl_sessions (
    id bigserial CONSTRAINT mdl_sess_id_pk PRIMARY KEY,
    state bigint NOT NULL DEFAULT 0,
    sid varchar(128) NOT NULL DEFAULT '',
    userid bigint NOT NULL,
    sessdata text,
    timecreated bigint NOT NULL,
    timemodified bigint NOT NULL,
    firstip varchar(45),
    lastip varchar(45)
);
CREATE INDEX mdl_sess_sta_ix ON mdl_sessions (state);
CREATE UNIQUE INDEX mdl_sess_sid_uix ON mdl_sessions (sid);
CREATE INDEX mdl_sess_tim_ix ON mdl_sessions (timecreated);
CREATE INDEX mdl_sess_tim2_ix ON mdl_sessions (timemodified);
CREATE INDEX mdl_sess_use_ix ON mdl_sessions (userid);

-- Busy, and none of our business.
CREATE TABLE mdl_logstore_standard_log (
    id bigserial CONSTRAINT mdl_logsstanlog_id_pk PRIMARY KEY,
    eventname varchar(255) NOT NULL DEFAULT '',
    component varchar(100) NOT NULL DEFAULT '',
    action varchar(100) NOT NULL DEFAULT '',
    target varchar(100) NOT NULL DEFAULT '',
    objecttable varchar(50),
    objectid bigint,
    crud varchar(1) NOT NULL DEFAULT '',
    edulevel smallint NOT NULL,
    contextid bigint NOT NULL,
    contextlevel bigint NOT NULL,
    contextinstanceid bigint NOT NULL,
    userid bigint NOT NULL,
    courseid bigint,
    relateduserid bigint,
    anonymous smallint NOT NULL DEFAULT 0,
    other text,
    timecreated bigint NOT NULL,
    origin varchar(10),
    ip varchar(45),
    realuserid bigint
);
CREATE INDEX mdl_logsstanlog_tim_ix ON mdl_logstore_standard_log (timecreated);
CREATE INDEX mdl_logsstanlog_couanotim_ix ON mdl_logstore_standard_log (courseid, anonymous, timecreated);
CREATE INDEX mdl_logsstanlog_useconconcru_ix ON mdl_logstore_standard_log (userid, contextlevel, contextinstanceid, crud, edulevel, timecreated);
CREATE INDEX mdl_logsstanlog_con_ix ON mdl_logstore_standard_log (contextid);
