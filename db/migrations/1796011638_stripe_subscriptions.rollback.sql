DROP TABLE subscription_drift, withdrawals, checkouts, trial_cards;
DROP INDEX jobs_sync_subscription, stripe_events_received, stripe_events_customer;
ALTER TABLE stripe_events DROP COLUMN customer_id, DROP COLUMN ignored_because;
DROP INDEX payment_history_failed, payment_history_intent;
ALTER TABLE payment_history DROP CONSTRAINT payment_history_status_check;
UPDATE payment_history SET status = 'refunded' WHERE status IN ('disputed', 'void');
ALTER TABLE payment_history
    DROP COLUMN invoice_url, DROP COLUMN refunded_cents, DROP COLUMN attempt_count, DROP COLUMN stripe_payment_intent,
    ADD CONSTRAINT payment_history_status_check CHECK (status IN ('succeeded', 'failed', 'refunded'));
DROP INDEX subscriptions_tier;
ALTER TABLE subscriptions
    DROP COLUMN pending_tier, DROP COLUMN ended_at, DROP COLUMN trial_refused_at, DROP COLUMN grant_reason,
    DROP COLUMN synced_at, DROP COLUMN sync_token, DROP COLUMN sync_expires_at;
