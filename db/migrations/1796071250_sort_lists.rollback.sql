DROP INDEX clips_by_name;
DROP INDEX clips_by_length;
DROP INDEX recordings_by_name;
DROP INDEX recordings_by_length;
