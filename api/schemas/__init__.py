"""Request and response structs, one module a subject, or a folder where a subject has several."""
