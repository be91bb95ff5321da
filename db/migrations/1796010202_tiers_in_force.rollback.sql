DELETE FROM quota_holds WHERE job_id IS NULL;
DROP INDEX quota_holds_subject, quota_holds_once;
ALTER TABLE quota_holds DROP CONSTRAINT quota_holds_has_one_holder;
ALTER TABLE quota_holds DROP COLUMN subject_id;
ALTER TABLE quota_holds ALTER COLUMN job_id SET NOT NULL;
CREATE UNIQUE INDEX quota_holds_once ON quota_holds (job_id, clip_id) NULLS NOT DISTINCT;
ALTER TABLE quota_holds ALTER COLUMN period_start TYPE date USING (period_start AT TIME ZONE 'UTC')::date;
-- Two periods may have begun on one day.
DELETE FROM usage_quotas AS q USING usage_quotas AS later
WHERE later.user_id = q.user_id AND later.feature = q.feature AND later.period_start > q.period_start
  AND (later.period_start AT TIME ZONE 'UTC')::date = (q.period_start AT TIME ZONE 'UTC')::date;
ALTER TABLE usage_quotas ALTER COLUMN period_start TYPE date USING (period_start AT TIME ZONE 'UTC')::date;
DROP TRIGGER users_have_a_subscription ON users;
DROP FUNCTION give_subscription();
DROP FUNCTION tier_in_force(subscriptions);
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_grant_has_end;
ALTER TABLE subscriptions
    DROP COLUMN grace_ends_at, DROP COLUMN trial_ends_at, DROP COLUMN granted_tier, DROP COLUMN granted_until;
UPDATE tier_features SET display_name = 'Free' WHERE tier = 'free' AND display_name = 'Free Tier';
ALTER TABLE tier_features DROP COLUMN limits;
ALTER TABLE tier_features ALTER COLUMN price_monthly TYPE numeric(8, 2) USING price_monthly / 100.0;
