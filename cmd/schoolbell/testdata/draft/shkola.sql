-- A Russian school's own LMS, in Latin letters: tables with a common prefix, classes in
-- place of courses, roles as numbers in a table.

CREATE TABLE shk_roli (id smallint PRIMARY KEY, nazvanie varchar(30) NOT NULL);
INSERT INTO shk_roli VALUES (1, 'uchenik'), (2, 'uchitel'), (3, 'direktor'), (4, 'roditel');
CREATE TABLE shk_klassy (id int PRIMARY KEY, nazvanie varchar(10) NOT NULL);
CREATE TABLE shk_polzovateli (
    id int PRIMARY KEY,
    familiya varchar(80) NOT NULL,
    imya varchar(80) NOT NULL,
    pochta varchar(120),
    rol_id smallint NOT NULL REFERENCES shk_roli,
    klass_id int REFERENCES shk_klassy,
    udalen boolean NOT NULL DEFAULT false
);
CREATE TABLE shk_zadaniya (
    id int PRIMARY KEY,
    klass_id int NOT NULL REFERENCES shk_klassy,
    uchitel_id int NOT NULL REFERENCES shk_polzovateli,
    tema varchar(200) NOT NULL,
    opisanie text,
    srok date NOT NULL
);
CREATE TABLE shk_otvety (
    id int PRIMARY KEY,
    zadanie_id int NOT NULL REFERENCES shk_zadaniya,
    uchenik_id int NOT NULL REFERENCES shk_polzovateli,
    popytka smallint NOT NULL DEFAULT 1,
    sdano timestamp,
    ocenka smallint
);
CREATE TABLE shk_novosti (id int PRIMARY KEY, avtor_id int REFERENCES shk_polzovateli, tekst text);
