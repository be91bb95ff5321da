"""Webhooks, deliveries and the events they carry."""
