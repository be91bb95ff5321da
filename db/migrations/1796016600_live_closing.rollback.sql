ALTER TABLE recording_tracks DROP COLUMN completed_at;
ALTER TABLE recordings DROP CONSTRAINT recordings_closes_after_end, DROP COLUMN live_closes_at;
