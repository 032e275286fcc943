-- What was delivered, and may be sent to us again nevertheless.
--
-- A row of `message` is deleted when it is delivered and the broker is known to have read
-- our acknowledgement: by the row a redelivery is recognised. A full queue cannot wait for
-- that (see when_full). It deletes what is delivered, and leaves of each message what it
-- is recognised by, until the broker is known to have read.
CREATE TABLE delivered (
    id        INTEGER PRIMARY KEY,        -- the message's
    packet_id INTEGER NOT NULL,           -- of its PUBLISH
    digest    INTEGER NOT NULL            -- of topic and payload (message/replay.h)
) STRICT;
