-- How often a clip was looked at and shared, and whether its owner keeps it past the usual time.
ALTER TABLE clips
    ADD COLUMN view_count bigint NOT NULL DEFAULT 0 CHECK (view_count >= 0),
    ADD COLUMN share_count bigint NOT NULL DEFAULT 0 CHECK (share_count >= 0),
    ADD COLUMN is_kept boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT clips_kept_do_not_expire CHECK (NOT is_kept OR expires_at IS NULL);

UPDATE clips SET share_count = shared.number
FROM (SELECT clip_id, count(*) AS number FROM clip_shares GROUP BY clip_id) AS shared
WHERE shared.clip_id = clips.id;
