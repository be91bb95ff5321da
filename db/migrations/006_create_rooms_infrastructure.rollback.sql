-- Its policy asks the other table.
DROP POLICY rooms_participant ON rooms;
DROP TABLE room_participants, rooms;
