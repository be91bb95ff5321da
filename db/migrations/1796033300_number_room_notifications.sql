-- A process that has told a room an event already need not read it again: the notification says which one it is.
CREATE OR REPLACE FUNCTION notify_room_event() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('room_events', NEW.room_id::text || ' ' || NEW.seq::text);
    RETURN NULL;
END
$$;
