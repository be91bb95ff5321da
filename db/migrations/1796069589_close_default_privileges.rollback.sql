-- Grants that a platform's default privileges had given stay ended.
REVOKE EXECUTE ON FUNCTION current_user_id(), tier_in_force(subscriptions), is_room_member(uuid) FROM snuggles_user;
GRANT EXECUTE ON FUNCTION current_user_id(), tier_in_force(subscriptions) TO PUBLIC;
