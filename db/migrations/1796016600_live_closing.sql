-- After the stop, parts of all tracks are still taken for a short while: the end of what people said is on its way.

ALTER TABLE recordings ADD COLUMN live_closes_at timestamptz;
UPDATE recordings SET live_closes_at = live_ended_at WHERE live_ended_at IS NOT NULL;
ALTER TABLE recordings ADD CONSTRAINT recordings_closes_after_end
    CHECK ((live_ended_at IS NULL) = (live_closes_at IS NULL) AND live_closes_at >= live_ended_at);

-- Its owner has nothing more to send.
ALTER TABLE recording_tracks ADD COLUMN completed_at timestamptz;
