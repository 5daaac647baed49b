DROP TABLE history, head, service, api_key, kept_answer, card, reservation, snapshot_entry, snapshot, command, approval,
    resolution
--;
DROP FUNCTION history_is_append_only()
