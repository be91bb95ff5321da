"""The queue between PostgreSQL and the actors: broker, consumers, dispatcher and reconciler."""
