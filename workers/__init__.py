"""The edge of the queue: actors, dispatcher, scheduler and the child-process runner."""
