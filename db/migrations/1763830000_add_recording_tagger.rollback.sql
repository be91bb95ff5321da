ALTER TABLE recordings DROP COLUMN tags_key;
ALTER TABLE recordings DROP COLUMN tagger;
