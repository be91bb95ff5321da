"""HTTP routes, one module a subject, or a folder where a subject has several."""
