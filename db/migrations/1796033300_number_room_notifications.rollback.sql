CREATE OR REPLACE FUNCTION notify_room_event() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('room_events', NEW.room_id::text);
    RETURN NULL;
END
$$;
