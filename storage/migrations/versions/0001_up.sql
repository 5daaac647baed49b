CREATE TABLE resolution (
    id uuid PRIMARY KEY,
    state text NOT NULL,
    request jsonb NOT NULL,
    requested_by jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    wake_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    epoch bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    approval_id uuid,
    snapshot_id uuid,
    summary text,
    waiting_for text,
    interrupt_by jsonb,
    interrupt_reason text,
    auto_rollback boolean NOT NULL DEFAULT false,
    is_budget_warned boolean NOT NULL DEFAULT false,
    dedupe_key text,
    thread_channel text,
    thread_ts text,
    history_seq bigint NOT NULL DEFAULT 0,
    context jsonb,
    assessment jsonb,
    outcome jsonb,
    transcript text,
    undo jsonb
)
--;
CREATE UNIQUE INDEX resolution_open_key ON resolution (dedupe_key)
    WHERE state IN ('gathering', 'awaiting_approval', 'approved', 'executing', 'verifying')
--;
CREATE INDEX resolution_due ON resolution (wake_at) WHERE wake_at IS NOT NULL
--;
CREATE INDEX resolution_newest ON resolution (created_at DESC, id DESC)
--;
CREATE TABLE approval (
    id uuid PRIMARY KEY,
    resolution_id uuid NOT NULL REFERENCES resolution (id),
    number bigint GENERATED ALWAYS AS IDENTITY,
    subject text NOT NULL,
    state text NOT NULL,
    permit jsonb NOT NULL,
    digest text NOT NULL,
    asked_at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    decided_by jsonb,
    decided_at timestamptz,
    reason text
)
--;
CREATE INDEX approval_of_resolution ON approval (resolution_id)
--;
CREATE TABLE command (
    resolution_id uuid NOT NULL REFERENCES resolution (id),
    seq integer NOT NULL,
    line text NOT NULL,
    verdict text NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    is_executed boolean NOT NULL,
    asked_at timestamptz NOT NULL,
    ended_at timestamptz,
    exit_code integer,
    output text NOT NULL DEFAULT '',
    PRIMARY KEY (resolution_id, seq)
)
--;
CREATE TABLE snapshot (
    id uuid PRIMARY KEY,
    resolution_id uuid NOT NULL UNIQUE REFERENCES resolution (id),
    taken_at timestamptz NOT NULL
)
--;
CREATE TABLE snapshot_entry (
    snapshot_id uuid NOT NULL REFERENCES snapshot (id),
    seq integer NOT NULL,
    target jsonb NOT NULL,
    change text NOT NULL,
    state text NOT NULL,
    is_after_read boolean NOT NULL,
    key_id text NOT NULL,
    before bytea,
    after bytea,
    PRIMARY KEY (snapshot_id, seq)
)
--;
CREATE TABLE reservation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resolution_id uuid NOT NULL REFERENCES resolution (id),
    agent text NOT NULL,
    tokens bigint NOT NULL,
    cost_usd numeric(14, 8) NOT NULL,
    at timestamptz NOT NULL,
    is_settled boolean NOT NULL DEFAULT false
)
--;
CREATE INDEX reservation_of_resolution ON reservation (resolution_id)
--;
CREATE INDEX reservation_at ON reservation (at)
--;
CREATE TABLE card (
    resolution_id uuid PRIMARY KEY REFERENCES resolution (id),
    channel text,
    ts text,
    nonce text NOT NULL,
    sent_seq bigint NOT NULL DEFAULT 0,
    thread_seq bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    nudges bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    next_at timestamptz NOT NULL DEFAULT now()
)
--;
CREATE INDEX card_place ON card (channel, ts)
--;
CREATE TABLE kept_answer (
    client text NOT NULL,
    key text NOT NULL,
    body_digest text NOT NULL,
    answer text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client, key)
)
--;
CREATE TABLE api_key (
    name text PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    rights text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
)
--;
CREATE TABLE service (id integer PRIMARY KEY CHECK (id = 1), pause jsonb)
--;
INSERT INTO service (id) VALUES (1)
--;
CREATE TABLE head (id integer PRIMARY KEY CHECK (id = 1), seq bigint NOT NULL, hash bytea NOT NULL)
--;
INSERT INTO head VALUES (1, 0, sha256('ir-history-v1'))
--;
CREATE TABLE history (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    resolution_id uuid,
    body text NOT NULL,
    prev bytea NOT NULL,
    hash bytea NOT NULL,
    facts jsonb GENERATED ALWAYS AS (body::jsonb) STORED
)
--;
CREATE INDEX history_of_resolution ON history (resolution_id, seq)
--;
CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history is append-only';
END
$$
--;
CREATE TRIGGER history_rows BEFORE UPDATE OR DELETE ON history
    FOR EACH ROW EXECUTE FUNCTION history_is_append_only()
--;
CREATE TRIGGER history_table BEFORE TRUNCATE ON history
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only()
--;
ALTER TABLE history ENABLE ALWAYS TRIGGER history_rows
--;
ALTER TABLE history ENABLE ALWAYS TRIGGER history_table
