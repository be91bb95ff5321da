-- Prices in cents, limits beside features, one answer to "which tier is in force", and holds for things that are no job.

ALTER TABLE tier_features ALTER COLUMN price_monthly TYPE integer USING round(price_monthly * 100)::integer;
-- Limits that we add to those of `features`; what a row does not name has the default in services/billing/tier.py.
-- The operators' seed statement leaves this column alone.
ALTER TABLE tier_features ADD COLUMN limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object');
UPDATE tier_features SET display_name = 'Free Tier' WHERE tier = 'free' AND display_name = 'Free';

ALTER TABLE subscriptions
    ADD COLUMN grace_ends_at timestamptz,
    ADD COLUMN trial_ends_at timestamptz,
    -- A tier that an operator gave, until a moment; 'infinity' has no end.
    ADD COLUMN granted_tier text REFERENCES tier_features,
    ADD COLUMN granted_until timestamptz,
    ADD CONSTRAINT subscriptions_grant_has_end CHECK ((granted_tier IS NULL) = (granted_until IS NULL));
UPDATE subscriptions SET grace_ends_at = past_due_since + interval '7 days' WHERE status = 'past_due';

-- The tier that Stripe's status grants, or the operator's, whichever includes more. The one place that decides.
CREATE FUNCTION tier_in_force(s subscriptions) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
        SELECT CASE
            WHEN 'pro' IN (paid.tier, granted.tier) THEN 'pro'
            WHEN 'premium' IN (paid.tier, granted.tier) THEN 'premium'
            ELSE 'free'
        END
        FROM (SELECT CASE WHEN s.status IN ('active', 'trialing')
                  OR (s.status = 'past_due' AND s.grace_ends_at > now()) THEN s.tier END AS tier) AS paid,
             (SELECT CASE WHEN s.granted_until > now() THEN s.granted_tier END AS tier) AS granted
    $$;
GRANT EXECUTE ON FUNCTION tier_in_force(subscriptions) TO anon, authenticated, service_role;

-- Everyone has a row.
INSERT INTO subscriptions (user_id, tier, status)
SELECT id, 'free', 'active' FROM users ON CONFLICT (user_id) DO NOTHING;
CREATE FUNCTION give_subscription() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $$
        BEGIN
            INSERT INTO public.subscriptions (user_id, tier, status) VALUES (NEW.id, 'free', 'active')
            ON CONFLICT (user_id) DO NOTHING;
            RETURN NULL;
        END
    $$;
CREATE TRIGGER users_have_a_subscription AFTER INSERT ON users
    FOR EACH ROW EXECUTE FUNCTION give_subscription();

-- A subscription's period begins at a moment, not at a day.
ALTER TABLE usage_quotas ALTER COLUMN period_start TYPE timestamptz
    USING period_start::timestamp AT TIME ZONE 'UTC';
ALTER TABLE quota_holds ALTER COLUMN period_start TYPE timestamptz
    USING period_start::timestamp AT TIME ZONE 'UTC';

-- What holds a part of an allowance: a job (for one of its clips), or something else, such as a live recording.
ALTER TABLE quota_holds ADD COLUMN subject_id uuid;
ALTER TABLE quota_holds ALTER COLUMN job_id DROP NOT NULL;
ALTER TABLE quota_holds ADD CONSTRAINT quota_holds_has_one_holder CHECK ((job_id IS NULL) <> (subject_id IS NULL));
DROP INDEX quota_holds_once;
CREATE UNIQUE INDEX quota_holds_once ON quota_holds (job_id, clip_id, subject_id, feature) NULLS NOT DISTINCT;
CREATE INDEX quota_holds_subject ON quota_holds (subject_id) WHERE subject_id IS NOT NULL;
