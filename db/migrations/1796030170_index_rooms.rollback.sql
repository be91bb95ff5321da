DROP INDEX rooms_created;
