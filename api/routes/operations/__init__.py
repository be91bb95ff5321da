"""Routes of operators, and of health checks and metrics."""
