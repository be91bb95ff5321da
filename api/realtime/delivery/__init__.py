"""Delivery of events to clients, in one process and between processes."""
