DROP POLICY api_keys_owner ON api_keys;
CREATE POLICY api_keys_owner ON api_keys TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
CREATE POLICY audit_log_append ON audit_log FOR INSERT TO authenticated
    WITH CHECK (actor_id = (SELECT current_user_id()));
DROP POLICY rooms_host ON rooms;
CREATE POLICY rooms_host ON rooms TO authenticated
    USING (host_user_id = (SELECT current_user_id())) WITH CHECK (host_user_id = (SELECT current_user_id()));
DROP POLICY highlights_owner ON highlights;
CREATE POLICY highlights_owner ON highlights TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
DROP POLICY jobs_owner ON jobs;
CREATE POLICY jobs_owner ON jobs TO authenticated
    USING (user_id = (SELECT current_user_id()))
    WITH CHECK (user_id = (SELECT current_user_id()) AND queue <> 'housekeeping');
DROP POLICY clip_shares_owner ON clip_shares;
CREATE POLICY clip_shares_owner ON clip_shares TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));
DROP POLICY clips_owner ON clips;
CREATE POLICY clips_owner ON clips TO authenticated
    USING (user_id = (SELECT current_user_id())) WITH CHECK (user_id = (SELECT current_user_id()));

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname !~ '^_?yoyo'
    LOOP
        EXECUTE format('REVOKE ALL ON %I FROM snuggles_user', name);
    END LOOP;
END
$$;
REVOKE snuggles_user FROM snuggles_app;

GRANT SELECT ON clips, idempotency_keys, jobs, recordings, renders, quota_holds, subscriptions TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO authenticated;
GRANT INSERT, DELETE ON idempotency_keys TO authenticated;
GRANT INSERT ON audit_log TO authenticated;
GRANT UPDATE (display_name, updated_at) ON users TO authenticated;
GRANT INSERT ON recordings TO authenticated;
GRANT UPDATE (title, size_bytes, status, upload_id, part_size_bytes, error, updated_at) ON recordings TO authenticated;
GRANT INSERT, UPDATE ON jobs TO authenticated;
GRANT INSERT ON job_events TO authenticated;
GRANT DELETE ON clips TO authenticated;
GRANT INSERT (id, user_id, recording_id, highlight_id, title, description, start_s, end_s, preset, formats, accuracy,
              loudness, options, status, created_at, updated_at) ON clips TO authenticated;
GRANT UPDATE (title, description, status, error, job_id, updated_at) ON clips TO authenticated;
GRANT INSERT, UPDATE ON clip_shares TO authenticated;
GRANT INSERT (id, user_id, url, events, secret), DELETE ON webhooks TO authenticated;
GRANT UPDATE (status, disabled_at, disabled_reason, failing_since, failures, resting_until, updated_at)
    ON webhooks TO authenticated;
