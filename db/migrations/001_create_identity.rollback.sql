-- The three request roles may be shared with other programs (Supabase), and roles belong to the whole server, so they stay.
DROP FUNCTION current_user_id();
REVOKE USAGE ON SCHEMA public FROM anon, authenticated, service_role;
