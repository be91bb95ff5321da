-- Tiers, who has which, and what of the allowance is used.

CREATE TABLE tier_features (
    tier text PRIMARY KEY CHECK (tier IN ('free', 'premium', 'pro')),
    features jsonb NOT NULL,
    display_name text NOT NULL,
    price_monthly numeric(8, 2) NOT NULL CHECK (price_monthly >= 0)
);

INSERT INTO tier_features (tier, features, display_name, price_monthly) VALUES
    ('free', '{"conversations_per_month": 50, "clips_per_month": 5, "memory_entries": 1000,
               "api_calls_per_day": 100, "room_creation": false, "priority_support": false,
               "analytics": false, "api_access": false}', 'Free', 0),
    ('premium', '{"conversations_per_month": 500, "clips_per_month": 50, "memory_entries": 5000,
                  "api_calls_per_day": 1000, "room_creation": true, "priority_support": true,
                  "analytics": false, "api_access": false}', 'Premium', 9.99),
    ('pro', '{"conversations_per_month": -1, "clips_per_month": 100, "memory_entries": 10000,
              "api_calls_per_day": 5000, "room_creation": true, "priority_support": true,
              "analytics": true, "api_access": true}', 'Pro', 19.99)
ON CONFLICT (tier) DO UPDATE SET
    features = excluded.features, display_name = excluded.display_name, price_monthly = excluded.price_monthly;

CREATE TABLE subscriptions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE,
    tier text NOT NULL REFERENCES tier_features,
    -- Stripe's own statuses; 'active' also for a tier that an operator granted.
    status text NOT NULL CHECK (status IN (
        'active', 'trialing', 'past_due', 'canceled', 'unpaid', 'incomplete', 'incomplete_expired', 'paused'
    )),
    stripe_customer_id text UNIQUE,
    stripe_subscription_id text UNIQUE,
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    trial_used_at timestamptz,
    past_due_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE payment_history (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    stripe_invoice_id text NOT NULL UNIQUE,
    amount_cents bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL CHECK (status IN ('succeeded', 'failed', 'refunded')),
    payment_date timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payment_history_owner ON payment_history (user_id, payment_date DESC);

CREATE TABLE usage_quotas (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    feature text NOT NULL,
    period_start date NOT NULL,
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, feature, period_start)
);

-- What a job has reserved; it becomes used, or goes back, exactly once.
CREATE TABLE quota_holds (
    job_id uuid PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    feature text NOT NULL,
    period_start date NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'done', 'released')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quota_holds_open ON quota_holds (created_at) WHERE state = 'held';

CREATE TABLE stripe_events (
    id text PRIMARY KEY,
    type text NOT NULL,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz
);

ALTER TABLE subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscriptions FORCE ROW LEVEL SECURITY;
ALTER TABLE payment_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE payment_history FORCE ROW LEVEL SECURITY;
ALTER TABLE usage_quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_quotas FORCE ROW LEVEL SECURITY;
ALTER TABLE quota_holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE quota_holds FORCE ROW LEVEL SECURITY;
ALTER TABLE stripe_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE stripe_events FORCE ROW LEVEL SECURITY;

CREATE POLICY subscriptions_service ON subscriptions TO service_role USING (true) WITH CHECK (true);
CREATE POLICY subscriptions_owner ON subscriptions FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));
CREATE POLICY payment_history_service ON payment_history TO service_role USING (true) WITH CHECK (true);
CREATE POLICY payment_history_owner ON payment_history FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));
CREATE POLICY usage_quotas_service ON usage_quotas TO service_role USING (true) WITH CHECK (true);
CREATE POLICY usage_quotas_owner ON usage_quotas FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));
CREATE POLICY quota_holds_service ON quota_holds TO service_role USING (true) WITH CHECK (true);
CREATE POLICY quota_holds_owner ON quota_holds FOR SELECT TO authenticated
    USING (user_id = (SELECT current_user_id()));
CREATE POLICY stripe_events_service ON stripe_events TO service_role USING (true) WITH CHECK (true);

GRANT SELECT ON tier_features TO anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON subscriptions, payment_history, usage_quotas, quota_holds, stripe_events TO service_role;
-- Nobody counts for himself: quotas are written by the service (db.connection.as_service).
GRANT SELECT ON subscriptions, payment_history, usage_quotas, quota_holds TO authenticated;
