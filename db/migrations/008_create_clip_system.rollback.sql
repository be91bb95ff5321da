ALTER TABLE jobs DROP CONSTRAINT jobs_clip_id_fkey;
DROP TABLE clip_shares, clips;
