-- depends: 003_create_recordings

-- Which audio tagger listened to a recording, and its rows for drawing; both null until one has.
ALTER TABLE recordings ADD COLUMN tagger text CHECK (length(tagger) BETWEEN 1 AND 100);
ALTER TABLE recordings ADD COLUMN tags_key text;
