-- What a sync with Stripe writes: the subscription as Stripe has it, payments, trials by card, and what drifted.

ALTER TABLE subscriptions
    -- The tier that a schedule at Stripe changes to when the period ends.
    ADD COLUMN pending_tier text REFERENCES tier_features,
    -- The subscription has ended at Stripe; the row is a free one again.
    ADD COLUMN ended_at timestamptz,
    -- A trial was ended because its card has had one already. Nothing was charged.
    ADD COLUMN trial_refused_at timestamptz,
    ADD COLUMN grant_reason text CHECK (length(grant_reason) <= 500),
    ADD COLUMN synced_at timestamptz,
    -- Whoever holds the lease fetches from Stripe and writes what it says; a new holder waits for the old one's end.
    ADD COLUMN sync_token uuid,
    ADD COLUMN sync_expires_at timestamptz;
CREATE INDEX subscriptions_tier ON subscriptions (tier, status) WHERE tier <> 'free';

ALTER TABLE payment_history
    ADD COLUMN invoice_url text,
    ADD COLUMN refunded_cents bigint NOT NULL DEFAULT 0 CHECK (refunded_cents >= 0),
    ADD COLUMN attempt_count integer NOT NULL DEFAULT 0,
    -- A dispute names only this, not the customer.
    ADD COLUMN stripe_payment_intent text,
    DROP CONSTRAINT payment_history_status_check,
    ADD CONSTRAINT payment_history_status_check
        CHECK (status IN ('succeeded', 'failed', 'refunded', 'disputed', 'void'));
CREATE INDEX payment_history_intent ON payment_history (stripe_payment_intent);
CREATE INDEX payment_history_failed ON payment_history (payment_date) WHERE status = 'failed';

ALTER TABLE stripe_events
    ADD COLUMN customer_id text,
    -- Why an event has no effect: it is of no known customer, of no kind that matters, or of Stripe's other mode.
    ADD COLUMN ignored_because text;
CREATE INDEX stripe_events_customer ON stripe_events (customer_id) WHERE processed_at IS NULL;
CREATE INDEX stripe_events_received ON stripe_events (received_at DESC);
CREATE INDEX jobs_sync_subscription ON jobs ((payload ->> 'user_id')) WHERE kind = 'sync_subscription' AND state = 'queued';

-- Trials by card: only a hash of Stripe's fingerprint. Rows outlive accounts, or a new account would bring a new trial.
CREATE TABLE trial_cards (
    fingerprint_hash bytea PRIMARY KEY,
    user_id uuid REFERENCES users ON DELETE SET NULL,
    used_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE checkouts (
    session_id text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    tier text NOT NULL REFERENCES tier_features,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
);
CREATE INDEX checkouts_owner ON checkouts (user_id, created_at DESC);

-- Withdrawals from the contract (Directive (EU) 2023/2673): the moment of each declaration, and what was refunded.
CREATE TABLE withdrawals (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    stripe_subscription_id text NOT NULL UNIQUE,
    declared_at timestamptz NOT NULL DEFAULT now(),
    refunded_cents bigint NOT NULL DEFAULT 0,
    currency text NOT NULL DEFAULT 'usd',
    -- NULL until the subscription has ended and the refund is made.
    finished_at timestamptz
);

-- Differences between our rows and Stripe's objects that the nightly comparison found and repaired.
CREATE TABLE subscription_drift (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id uuid REFERENCES users ON DELETE SET NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    before jsonb NOT NULL,
    after jsonb NOT NULL
);

ALTER TABLE trial_cards ENABLE ROW LEVEL SECURITY;
ALTER TABLE trial_cards FORCE ROW LEVEL SECURITY;
ALTER TABLE checkouts ENABLE ROW LEVEL SECURITY;
ALTER TABLE checkouts FORCE ROW LEVEL SECURITY;
ALTER TABLE withdrawals ENABLE ROW LEVEL SECURITY;
ALTER TABLE withdrawals FORCE ROW LEVEL SECURITY;
ALTER TABLE subscription_drift ENABLE ROW LEVEL SECURITY;
ALTER TABLE subscription_drift FORCE ROW LEVEL SECURITY;
CREATE POLICY trial_cards_service ON trial_cards TO service_role USING (true) WITH CHECK (true);
CREATE POLICY checkouts_service ON checkouts TO service_role USING (true) WITH CHECK (true);
CREATE POLICY checkouts_owner ON checkouts FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
CREATE POLICY withdrawals_service ON withdrawals TO service_role USING (true) WITH CHECK (true);
CREATE POLICY withdrawals_owner ON withdrawals FOR SELECT TO authenticated USING (user_id = (SELECT current_user_id()));
CREATE POLICY subscription_drift_service ON subscription_drift TO service_role USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON trial_cards, checkouts, withdrawals TO service_role;
GRANT SELECT, INSERT ON subscription_drift TO service_role;
GRANT SELECT ON checkouts, withdrawals TO authenticated;
