"""Mail to users: messages, templates, outbox and transport."""
