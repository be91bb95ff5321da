DROP TABLE stripe_events, quota_holds, usage_quotas, payment_history, subscriptions, tier_features;
