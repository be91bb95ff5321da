-- What HTTP forbids, SQL forbids: a client that speaks SQL as `authenticated`, as any client of Supabase can, only reads.
--
-- The API acts for a signed-in user as `snuggles_user`: row-level security holds for it as for `authenticated`, whose
-- member it is, and it alone may write what the API checks first. docs/access.md lists both; `make access` writes it.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'snuggles_user') THEN
        CREATE ROLE snuggles_user NOLOGIN INHERIT;
    END IF;
END
$$;
GRANT authenticated TO snuggles_user;
GRANT snuggles_user TO snuggles_app;

-- Reading whole rows moves to the API's role, and writing ends for both, until it is granted by column below.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
          AND has_table_privilege('authenticated', oid, 'SELECT')
    LOOP
        EXECUTE format('GRANT SELECT ON %I TO snuggles_user', name);
    END LOOP;
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname !~ '^_?yoyo'
    LOOP
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %I FROM authenticated, anon', name);
    END LOOP;
END
$$;

-- Hashes, keys of storage, what a worker proves its lease with, and names at Stripe are nobody's to read.
REVOKE SELECT ON api_keys, clips, idempotency_keys, jobs, recordings, renders, quota_holds, subscriptions FROM authenticated;
GRANT SELECT (id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at)
    ON api_keys TO authenticated;
REVOKE SELECT ON api_keys FROM snuggles_user;
GRANT SELECT (id, user_id, recording_id, highlight_id, job_id, title, description, start_s, end_s, preset, formats,
              accuracy, loudness, options, status, is_preview, notes, error, created_at, updated_at, completed_at,
              expires_at, view_count, share_count, is_kept) ON clips TO authenticated;
GRANT SELECT (id, user_id, kind, queue, state, priority, recording_id, clip_id, result, error, attempt, max_attempts,
              run_at, progress, stage, eta_s, cancel_requested_at, trace_id, created_at, started_at, finished_at)
    ON jobs TO authenticated;
GRANT SELECT (id, user_id, title, filename, content_type, size_bytes, status, source_url, duration_s, has_audio,
              has_video, probe, error, created_at, updated_at, ready_at) ON recordings TO authenticated;
GRANT SELECT (id, user_id, tier, status, current_period_start, current_period_end, cancel_at_period_end, created_at,
              updated_at) ON subscriptions TO authenticated;

-- Writing, by column, for the API alone.
GRANT INSERT (id, user_id, title, filename, content_type, size_bytes, status, source_key, source_url, upload_id,
              part_size_bytes) ON recordings TO snuggles_user;
GRANT UPDATE (title, size_bytes, status, upload_id, part_size_bytes, error, updated_at) ON recordings TO snuggles_user;
GRANT INSERT (id, user_id, recording_id, highlight_id, title, description, start_s, end_s, preset, formats, accuracy,
              loudness, options, status, created_at, updated_at) ON clips TO snuggles_user;
GRANT UPDATE (title, description, status, error, job_id, is_kept, updated_at) ON clips TO snuggles_user;
GRANT DELETE ON clips TO snuggles_user;
GRANT INSERT (clip_id, user_id, slug, platform, expires_at), UPDATE (revoked_at) ON clip_shares TO snuggles_user;
GRANT INSERT (user_id, kind, queue, priority, recording_id, clip_id, payload, run_at, max_attempts, trace_id, attempt)
    ON jobs TO snuggles_user;
GRANT UPDATE (state, finished_at, dispatched_at, cancel_requested_at) ON jobs TO snuggles_user;
GRANT INSERT (job_id, state, attempt, event, details) ON job_events TO snuggles_user;
GRANT INSERT (user_id, key, request_hash, status, response), DELETE ON idempotency_keys TO snuggles_user;
GRANT UPDATE (display_name, updated_at) ON users TO snuggles_user;
GRANT INSERT (id, user_id, url, events, secret), DELETE ON webhooks TO snuggles_user;
GRANT UPDATE (status, disabled_at, disabled_reason, failing_since, failures, resting_until, updated_at)
    ON webhooks TO snuggles_user;

-- What a row refers to has the same owner. The reference is looked at as the asking user, so another's is not there.
DROP POLICY clips_owner ON clips;
CREATE POLICY clips_owner ON clips TO authenticated
    USING (user_id = (SELECT current_user_id()))
    WITH CHECK (
        user_id = (SELECT current_user_id())
        AND EXISTS (SELECT 1 FROM recordings r WHERE r.id = recording_id AND r.user_id = clips.user_id)
        AND (highlight_id IS NULL
             OR EXISTS (SELECT 1 FROM highlights h WHERE h.id = highlight_id AND h.user_id = clips.user_id))
        AND (job_id IS NULL OR EXISTS (SELECT 1 FROM jobs j WHERE j.id = job_id AND j.user_id = clips.user_id))
    );
DROP POLICY clip_shares_owner ON clip_shares;
CREATE POLICY clip_shares_owner ON clip_shares TO authenticated
    USING (user_id = (SELECT current_user_id()))
    WITH CHECK (
        user_id = (SELECT current_user_id())
        AND EXISTS (SELECT 1 FROM clips c WHERE c.id = clip_id AND c.user_id = clip_shares.user_id)
    );
DROP POLICY jobs_owner ON jobs;
CREATE POLICY jobs_owner ON jobs TO authenticated
    USING (user_id = (SELECT current_user_id()))
    WITH CHECK (
        user_id = (SELECT current_user_id())
        -- What a user can ask for, each in its own queue, and before nobody whom an operator put first.
        AND (kind, queue) IN (('ingest', 'ingest'), ('import', 'ingest'), ('detect', 'detect'), ('render', 'render'))
        AND priority < 100
        AND (recording_id IS NULL
             OR EXISTS (SELECT 1 FROM recordings r WHERE r.id = recording_id AND r.user_id = jobs.user_id))
        AND (clip_id IS NULL OR EXISTS (SELECT 1 FROM clips c WHERE c.id = clip_id AND c.user_id = jobs.user_id))
    );
DROP POLICY highlights_owner ON highlights;
CREATE POLICY highlights_owner ON highlights FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
DROP POLICY rooms_host ON rooms;
CREATE POLICY rooms_host ON rooms FOR SELECT TO authenticated USING (host_user_id = (SELECT current_user_id()));
DROP POLICY audit_log_append ON audit_log;
DROP POLICY api_keys_owner ON api_keys;
CREATE POLICY api_keys_owner ON api_keys FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
