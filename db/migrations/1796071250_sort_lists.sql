-- Recordings and clips are listed by length and by name too, a page after the other.
CREATE INDEX recordings_by_length ON recordings (user_id, coalesce(duration_s, 0) DESC, id DESC) WHERE status <> 'deleted';
CREATE INDEX recordings_by_name ON recordings (user_id, lower(title), id) WHERE status <> 'deleted';
CREATE INDEX clips_by_length ON clips (user_id, (end_s - start_s) DESC, id DESC);
CREATE INDEX clips_by_name ON clips (user_id, lower(title), id);
