"""The queue's machinery: broker, consumers, dispatcher and reconciler."""
