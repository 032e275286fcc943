-- What was tried for a message, and how that went.
--
-- NULL, and that costs nothing, until it fails by its own fault. JSON, a line for each
-- event, oldest first; the first one and the last nine (message/history.h). It goes along
-- to the dead letters, and back.
ALTER TABLE message ADD COLUMN history TEXT;
ALTER TABLE dead_letter ADD COLUMN history TEXT;
