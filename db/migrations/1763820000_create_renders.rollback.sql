DROP INDEX quota_holds_once;
-- One hold a job again, of as much as was held for all its clips.
WITH held AS (
    SELECT job_id, min(clip_id::text) AS first_clip, sum(amount) AS amount FROM quota_holds WHERE state = 'held'
    GROUP BY job_id
)
UPDATE quota_holds SET amount = held.amount FROM held
WHERE quota_holds.job_id = held.job_id AND quota_holds.state = 'held'
  AND quota_holds.clip_id::text IS NOT DISTINCT FROM held.first_clip;
DELETE FROM quota_holds WHERE ctid IN (
    SELECT ctid FROM (
        SELECT ctid, row_number() OVER (PARTITION BY job_id ORDER BY state = 'held' DESC, clip_id::text) AS place
        FROM quota_holds
    ) AS placed WHERE place > 1
);
ALTER TABLE quota_holds ADD CONSTRAINT quota_holds_pkey PRIMARY KEY (job_id);
ALTER TABLE quota_holds DROP COLUMN clip_id;
DROP INDEX clips_job;
DROP INDEX clips_render;
ALTER TABLE clips DROP COLUMN render_id;
DROP TABLE renders;
