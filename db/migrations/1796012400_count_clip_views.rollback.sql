ALTER TABLE clips DROP CONSTRAINT clips_kept_do_not_expire;
ALTER TABLE clips DROP COLUMN view_count, DROP COLUMN share_count, DROP COLUMN is_kept;
