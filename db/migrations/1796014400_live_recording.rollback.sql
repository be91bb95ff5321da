DROP TABLE recording_activity, memories, recording_consents, recording_parts, recording_tracks;
ALTER TABLE recordings
    DROP CONSTRAINT recordings_live_has_start,
    DROP COLUMN room_id, DROP COLUMN live_started_at, DROP COLUMN live_ended_at;
