"""The first tables."""

from alembic import op

revision = "0001"
down_revision = None

_STATEMENTS = (
    """CREATE TABLE lockouts (
        id INTEGER NOT NULL,
        account_id INTEGER NOT NULL,
        rule_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        symbol TEXT,
        reason TEXT NOT NULL,
        locked_at TEXT NOT NULL,
        expires_at TEXT,
        cleared_at TEXT,
        cleared_by TEXT,
        cause TEXT NOT NULL,
        baseline TEXT NOT NULL,
        clear_due_at TEXT,
        clear_by TEXT,
        clear_reason TEXT,
        PRIMARY KEY (id)
    ) STRICT""",
    "CREATE INDEX lockouts_by_account ON lockouts (account_id, cleared_at)",
    """CREATE TABLE enforcement_log (
        id INTEGER NOT NULL,
        account_id INTEGER NOT NULL,
        rule_id TEXT NOT NULL,
        action TEXT NOT NULL,
        contract_id TEXT,
        order_id INTEGER,
        size INTEGER,
        reason TEXT NOT NULL,
        triggered_at TEXT NOT NULL,
        confirmed_at TEXT,
        attempts INTEGER NOT NULL,
        result TEXT,
        action_id INTEGER,
        lockout_id INTEGER,
        target INTEGER,
        held INTEGER,
        stop_price TEXT,
        settled_at TEXT,
        PRIMARY KEY (id)
    ) STRICT""",
    "CREATE INDEX enforcement_log_by_account ON enforcement_log (account_id, id)",
    "CREATE INDEX enforcement_log_by_result ON enforcement_log (result)",
    """CREATE TABLE daily_pnl (
        account_id INTEGER NOT NULL,
        trading_day TEXT NOT NULL,
        realized_pnl TEXT NOT NULL,
        trade_count INTEGER NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, trading_day)
    ) STRICT""",
    """CREATE TABLE contract_cache (
        contract_id TEXT NOT NULL,
        name TEXT NOT NULL,
        tick_size TEXT NOT NULL,
        tick_value TEXT NOT NULL,
        symbol_id TEXT NOT NULL,
        description TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (contract_id)
    ) STRICT""",
    """CREATE TABLE trade_history (
        account_id INTEGER NOT NULL,
        id INTEGER NOT NULL,
        contract_id TEXT NOT NULL,
        creation_timestamp TEXT NOT NULL,
        price TEXT NOT NULL,
        profit_and_loss TEXT,
        fees TEXT NOT NULL,
        side INTEGER NOT NULL,
        size INTEGER NOT NULL,
        voided INTEGER NOT NULL,
        order_id INTEGER NOT NULL,
        PRIMARY KEY (account_id, id)
    ) STRICT""",
    "CREATE INDEX trade_history_by_time ON trade_history (creation_timestamp)",
    """CREATE TABLE session_state (
        account_id INTEGER NOT NULL,
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, "key")
    ) STRICT""",
    """CREATE TABLE accounts (
        account_id INTEGER NOT NULL,
        login TEXT NOT NULL,
        name TEXT NOT NULL,
        can_trade INTEGER NOT NULL,
        balance TEXT,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id)
    ) STRICT""",
    """CREATE TABLE positions (
        account_id INTEGER NOT NULL,
        contract_id TEXT NOT NULL,
        id INTEGER NOT NULL,
        creation_timestamp TEXT NOT NULL,
        type INTEGER NOT NULL,
        size INTEGER NOT NULL,
        average_price TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, contract_id)
    ) STRICT""",
    """CREATE TABLE orders (
        account_id INTEGER NOT NULL,
        id INTEGER NOT NULL,
        contract_id TEXT NOT NULL,
        symbol_id TEXT,
        creation_timestamp TEXT NOT NULL,
        update_timestamp TEXT NOT NULL,
        status INTEGER NOT NULL,
        type INTEGER NOT NULL,
        side INTEGER NOT NULL,
        size INTEGER NOT NULL,
        limit_price TEXT,
        stop_price TEXT,
        trail_price TEXT,
        fill_volume INTEGER NOT NULL,
        filled_price TEXT,
        custom_tag TEXT,
        parent_order_id INTEGER,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, id)
    ) STRICT""",
    """CREATE TABLE reset_schedule (
        account_id INTEGER NOT NULL,
        trading_day TEXT NOT NULL,
        last_reset_at TEXT,
        next_reset_at TEXT,
        PRIMARY KEY (account_id)
    ) STRICT""",
    """CREATE TABLE daemon_state (
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY ("key")
    ) STRICT""",
    """CREATE TABLE audit_log (
        id INTEGER NOT NULL,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        params TEXT NOT NULL,
        result TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (id)
    ) STRICT""",
)


def upgrade() -> None:
    """Create everything."""
    for statement in _STATEMENTS:
        op.execute(statement)
