DROP TABLE poll_votes, polls;
