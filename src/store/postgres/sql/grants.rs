//! The rights of a node that checks and manages keys, as docs/postgres.md gives them to `keys_node`: a list so long that
//! it has a file of its own.

/// A row for each right that the current role lacks: the statement that gives it.
pub(super) const MISSING_GRANTS: &str = "\
    select pg_catalog.concat('grant ', needed.privilege, \
        case when needed.columns {<>} '' then pg_catalog.concat(' (', needed.columns, ')') end, \
        ' on ', needed.name, ' to ', pg_catalog.quote_ident(current_user)) \
    from (values \
        (1, '{s}.api_keys', 'select', ''), \
        (2, '{s}.api_keys', 'insert', ''), \
        (3, '{s}.api_keys', 'update', 'name, labels, hash, tag, pepper_id, proof, rehashes, scopes, allowed_networks, \
            responsible, expires_at, revoked_at, revoked_by, paused_at, paused_by, warned_end, warned_before_ms, version'), \
        (4, '{s}.api_key_owners', 'select', ''), \
        (5, '{s}.api_key_owners', 'insert', ''), \
        (6, '{s}.api_key_owners', 'update', ''), \
        (7, '{s}.api_key_head', 'select', ''), \
        (8, '{s}.api_key_head', 'update', 'only_row'), \
        (9, '{s}.api_key_log', 'select', ''), \
        (10, '{s}.api_key_schema', 'select', ''), \
        (11, '{s}.api_key_tombstones', 'select', ''), \
        (12, '{s}.api_key_changes', 'select', ''), \
        (13, '{s}.api_key_changes', 'insert', ''), \
        (14, '{s}.api_key_events', 'select', ''), \
        (15, '{s}.api_key_events', 'insert', ''), \
        (16, '{s}.api_key_usage_writers', 'select', ''), \
        (17, '{s}.api_key_usage_writers', 'insert', ''), \
        (18, '{s}.api_key_usage_writers', 'update', ''), \
        (19, '{s}.api_key_usage', 'select', ''), \
        (20, '{s}.api_key_usage', 'insert', ''), \
        (21, '{s}.api_key_usage', 'update', ''), \
        (22, '{s}.api_key_usage', 'delete', ''), \
        (23, '{s}.api_key_usage_days', 'select', ''), \
        (24, '{s}.api_key_usage_days', 'insert', ''), \
        (25, '{s}.api_key_usage_days', 'update', ''), \
        (26, '{s}.api_key_usage_days', 'delete', ''), \
        (27, '{s}.api_key_meta', 'select', ''), \
        (28, '{s}.api_key_meta', 'insert', ''), \
        (29, '{s}.api_key_notes', 'select', ''), \
        (30, '{s}.api_key_notes', 'insert', ''), \
        (31, '{s}.api_key_notes', 'update', '')) as needed (place, name, privilege, columns) \
    where case needed.columns when '' then not pg_catalog.has_table_privilege(needed.name, needed.privilege) \
        else exists (select 1 from pg_catalog.regexp_split_to_table(needed.columns, ', +') as listed (name) \
            where not pg_catalog.has_column_privilege(needed.name, listed.name, needed.privilege)) end \
    order by needed.place";
