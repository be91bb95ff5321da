"""Request and response structs, one module a resource."""
