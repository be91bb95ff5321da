"""Tiers and quotas."""
