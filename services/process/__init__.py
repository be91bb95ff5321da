"""Per-process setup: settings, logging, telemetry and clients."""
