-- The counters from which instances lease blocks of ids. `leased` is the last id that was ever leased; it only grows.
CREATE TABLE id_counters (
    name text PRIMARY KEY,
    leased bigint NOT NULL DEFAULT 0 CHECK (leased >= 0)
);

INSERT INTO id_counters (name) VALUES ('greetings');
