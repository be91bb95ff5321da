"""Everything that speaks to Stripe: the only place where its SDK is imported."""
