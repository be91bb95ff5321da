"""Setup of a process: settings, logging, telemetry and clients."""
