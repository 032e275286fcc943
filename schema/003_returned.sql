-- Messages that a person brings back while sluice runs.

-- sluice reads the queue in the order of ids, each row once; a dead letter that
-- becomes a message again (sluice queue retry) lies where it has been already. So the
-- command notes here, in the same transaction, from which id on it is to look once
-- more. sluice sees that the database was changed by another process, takes the row
-- away, and looks. One row at most.
CREATE TABLE returned (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    lowest INTEGER NOT NULL               -- message.id of the first that came back
) STRICT;
