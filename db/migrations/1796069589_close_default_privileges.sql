-- What docs/access.md lists is all that SQL grants, whatever default privileges the platform had set.
--
-- Supabase gives anon and authenticated every privilege on each table, sequence and function as it is created. Here all
-- of them end, what the page lists is granted again, and the default ends for what later migrations create.

DO $$
DECLARE
    kind text;
    name text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['TABLES', 'SEQUENCES', 'FUNCTIONS'] LOOP
        EXECUTE format('ALTER DEFAULT PRIVILEGES REVOKE ALL ON %s FROM anon, authenticated', kind);
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON %s FROM anon, authenticated', current_schema(), kind
        );
    END LOOP;
    -- The records of the migrations themselves. They have no row-level security.
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
          AND (relname ~ '^_?yoyo_' OR relname = 'schema_checksums')
    LOOP
        EXECUTE format('REVOKE ALL ON %I FROM anon, authenticated, service_role, snuggles_user', name);
    END LOOP;
END
$$;

-- With a table's privileges, those on its columns end too.
REVOKE ALL
    ON account_tokens, api_keys, audit_log, checkouts, clip_shares, clips, events, exports, highlights,
       idempotency_keys, job_event_totals, job_events, job_series, job_totals, jobs, mails, memories, passkeys,
       payment_history, pending_signups, poll_highlights, poll_keys, poll_upvotes, poll_votes, polls, queue_controls,
       quota_holds, recording_activity, recording_consents, recording_parts, recording_tracks, recordings,
       recovery_codes, renders, revoked_sessions, room_events, room_messages, room_participants, rooms, schedule_ticks,
       schedules, sessions, stripe_events, subscription_drift, subscriptions, tier_features, total_marks, totp_secrets,
       trial_cards, usage_quotas, users, webhook_deliveries, webhooks, withdrawals, workers
    FROM anon, authenticated, snuggles_user;
REVOKE ALL
    ON SEQUENCE audit_log_id_seq, events_seq_seq, job_events_id_seq, recording_activity_id_seq,
                subscription_drift_id_seq, webhook_deliveries_seq_seq
    FROM anon, authenticated, snuggles_user;
REVOKE ALL ON FUNCTION is_room_member(uuid) FROM anon;
-- What policies and queries call is the roles' alone.
REVOKE ALL ON FUNCTION current_user_id(), tier_in_force(subscriptions) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION current_user_id(), tier_in_force(subscriptions)
    TO anon, authenticated, service_role, snuggles_user;
GRANT EXECUTE ON FUNCTION is_room_member(uuid) TO snuggles_user;
-- The audit log is only ever appended to, by the service as well.
REVOKE ALL ON audit_log FROM service_role;
GRANT SELECT, INSERT ON audit_log TO service_role;

GRANT SELECT ON tier_features TO anon;
GRANT SELECT
    ON checkouts, clip_shares, events, highlights, job_events, memories, payment_history, room_participants,
       rooms, sessions, tier_features, usage_quotas, webhook_deliveries, withdrawals
    TO authenticated;
GRANT SELECT (id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at)
    ON api_keys TO authenticated;
GRANT SELECT (id, user_id, recording_id, highlight_id, job_id, title, description, start_s, end_s, preset, formats,
              accuracy, loudness, options, status, is_preview, notes, error, created_at, updated_at, completed_at,
              expires_at, view_count, share_count, is_kept) ON clips TO authenticated;
GRANT SELECT (id, user_id, job_id, status, size_bytes, created_at, ready_at, expires_at) ON exports TO authenticated;
GRANT SELECT (id, user_id, kind, queue, state, priority, recording_id, clip_id, result, error, attempt, max_attempts,
              run_at, progress, stage, eta_s, cancel_requested_at, trace_id, created_at, started_at, finished_at)
    ON jobs TO authenticated;
GRANT SELECT (id, user_id, name, created_at, last_used_at) ON passkeys TO authenticated;
GRANT SELECT (poll_id, option_id, user_id) ON poll_upvotes TO authenticated;
GRANT SELECT (poll_id, user_id, option_id, created_at, updated_at) ON poll_votes TO authenticated;
GRANT SELECT (id, room_id, created_by, poll_type, question, options, duration_seconds, is_anonymous, status, created_at,
              ends_at, closed_at, version, results_visibility, revealed_at) ON polls TO authenticated;
GRANT SELECT (id, user_id, title, filename, content_type, size_bytes, status, source_url, duration_s, has_audio,
              has_video, probe, error, created_at, updated_at, ready_at) ON recordings TO authenticated;
GRANT SELECT (id, room_id, seq, user_id, display_name, message_type, content, client_msg_id, created_at, edited_at,
              deleted_at, updated_seq) ON room_messages TO authenticated;
GRANT SELECT (id, user_id, tier, status, current_period_start, current_period_end, cancel_at_period_end, created_at,
              updated_at) ON subscriptions TO authenticated;
GRANT SELECT (id, email, display_name, is_admin, email_verified_at, sessions_valid_from, created_at, updated_at,
              language, mail_clips_ready, deleted_at) ON users TO authenticated;
GRANT SELECT (id, user_id, url, events, status, disabled_at, disabled_reason, failing_since, last_success_at,
              created_at, updated_at) ON webhooks TO authenticated;

-- The API, which also reads what `authenticated` reads.
GRANT SELECT ON clips, idempotency_keys, jobs, quota_holds, recordings, renders, subscriptions TO snuggles_user;
GRANT INSERT (clip_id, user_id, slug, platform, expires_at), UPDATE (revoked_at) ON clip_shares TO snuggles_user;
GRANT INSERT (id, user_id, recording_id, highlight_id, title, description, start_s, end_s, preset, formats, accuracy,
              loudness, options, status, created_at, updated_at),
      UPDATE (title, description, status, error, job_id, is_kept, updated_at), DELETE ON clips TO snuggles_user;
GRANT INSERT (user_id, key, request_hash, status, response), DELETE ON idempotency_keys TO snuggles_user;
GRANT INSERT (job_id, state, attempt, event, details) ON job_events TO snuggles_user;
GRANT INSERT (user_id, kind, queue, priority, recording_id, clip_id, payload, run_at, max_attempts, trace_id, attempt),
      UPDATE (state, finished_at, dispatched_at, cancel_requested_at) ON jobs TO snuggles_user;
GRANT INSERT (id, user_id, title, filename, content_type, size_bytes, status, source_key, source_url, upload_id,
              part_size_bytes),
      UPDATE (title, size_bytes, status, upload_id, part_size_bytes, error, updated_at) ON recordings TO snuggles_user;
GRANT UPDATE (display_name, updated_at) ON users TO snuggles_user;
GRANT INSERT (id, user_id, url, events, secret),
      UPDATE (status, disabled_at, disabled_reason, failing_since, failures, resting_until, updated_at), DELETE
    ON webhooks TO snuggles_user;
