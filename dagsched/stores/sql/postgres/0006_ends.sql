-- How attempts ended that another scheduler than the active one has: as it reported that from its machine, or as lost, once
-- nothing of them can be alive. The first word on an attempt stays.
CREATE TABLE ends (
    job text COLLATE "C" NOT NULL,
    tick bigint NOT NULL,
    number bigint NOT NULL,
    ended text NOT NULL,
    PRIMARY KEY (job, tick, number)
);
