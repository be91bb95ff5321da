-- Polls whose options are highlights of the room's recording: the votes move their scores.

CREATE TABLE poll_highlights (
    poll_id uuid PRIMARY KEY REFERENCES polls ON DELETE CASCADE,
    recording_id uuid NOT NULL REFERENCES recordings ON DELETE CASCADE,
    makes_clips boolean NOT NULL,
    -- [{option_id, start_s, end_s, peak_s, share}]: times, because a new detection replaces the rows of highlights;
    -- `share` of the votes is null until the poll is over.
    moments jsonb NOT NULL
);
CREATE INDEX poll_highlights_recording ON poll_highlights (recording_id);
ALTER TABLE poll_highlights ENABLE ROW LEVEL SECURITY;
ALTER TABLE poll_highlights FORCE ROW LEVEL SECURITY;
CREATE POLICY poll_highlights_service ON poll_highlights TO service_role USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON poll_highlights TO service_role;
