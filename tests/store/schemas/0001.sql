BEGIN TRANSACTION;
CREATE TABLE accounts (
        account_id INTEGER NOT NULL,
        login TEXT NOT NULL,
        name TEXT NOT NULL,
        can_trade INTEGER NOT NULL,
        balance TEXT,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id)
    ) STRICT;
INSERT INTO "accounts" VALUES(101,'trader1','Practice',1,'50000.00','2026-11-21T07:00:00.000000Z');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit_log (
        id INTEGER NOT NULL,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        params TEXT NOT NULL,
        result TEXT NOT NULL,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (id)
    ) STRICT;
CREATE TABLE contract_cache (
        contract_id TEXT NOT NULL,
        name TEXT NOT NULL,
        tick_size TEXT NOT NULL,
        tick_value TEXT NOT NULL,
        symbol_id TEXT NOT NULL,
        description TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (contract_id)
    ) STRICT;
INSERT INTO "contract_cache" VALUES('CON.F.US.MNQ.Z26','MNQZ6','0.25','0.50','F.US.MNQ','Micro','2026-11-21T07:00:00.000000Z');
CREATE TABLE daemon_state (
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY ("key")
    ) STRICT;
INSERT INTO "daemon_state" VALUES('clock','{"highest":1}');
CREATE TABLE daily_pnl (
        account_id INTEGER NOT NULL,
        trading_day TEXT NOT NULL,
        realized_pnl TEXT NOT NULL,
        trade_count INTEGER NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, trading_day)
    ) STRICT;
INSERT INTO "daily_pnl" VALUES(101,'2026-11-21','-510.74',3,'2026-11-21T07:00:00.000000Z');
CREATE TABLE enforcement_log (
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
    ) STRICT;
INSERT INTO "enforcement_log" VALUES(3,101,'RULE-006','reduce_position','CON.F.US.MNQ.Z26',NULL,1,'cooldown','2026-11-21T07:00:00.000000Z',NULL,2,NULL,7,NULL,2,3,NULL,NULL);
CREATE TABLE lockouts (
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
    ) STRICT;
INSERT INTO "lockouts" VALUES(1,101,'RULE-006','cooldown',NULL,'Third entry','2026-11-21T07:00:00.000000Z','2026-11-21T07:01:00.000000Z',NULL,NULL,'order 5','{"CON.F.US.MNQ.Z26":2}',NULL,NULL,NULL);
INSERT INTO "lockouts" VALUES(2,102,'RULE-003','hard',NULL,'Daily loss','2026-11-20T07:00:00.000000Z','2026-11-20T22:00:00.000000Z','2026-11-20T22:00:00.000000Z','expiry','day','{}',NULL,NULL,NULL);
CREATE TABLE orders (
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
    ) STRICT;
INSERT INTO "orders" VALUES(101,5,'CON.F.US.MNQ.Z26','F.US.MNQ','2026-11-21T07:00:00.000000Z','2026-11-21T07:00:00.000000Z',1,4,0,2,NULL,'20990.25',NULL,0,NULL,NULL,NULL,'2026-11-21T07:00:00.000000Z');
CREATE TABLE positions (
        account_id INTEGER NOT NULL,
        contract_id TEXT NOT NULL,
        id INTEGER NOT NULL,
        creation_timestamp TEXT NOT NULL,
        type INTEGER NOT NULL,
        size INTEGER NOT NULL,
        average_price TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, contract_id)
    ) STRICT;
INSERT INTO "positions" VALUES(101,'CON.F.US.MNQ.Z26',4,'2026-11-21T07:00:00.000000Z',2,2,'21000.25','2026-11-21T07:00:00.000000Z');
CREATE TABLE reset_schedule (
        account_id INTEGER NOT NULL,
        trading_day TEXT NOT NULL,
        last_reset_at TEXT,
        next_reset_at TEXT,
        PRIMARY KEY (account_id)
    ) STRICT;
INSERT INTO "reset_schedule" VALUES(101,'2026-11-21','2026-11-20T22:00:00.000000Z','2026-11-21T22:00:00.000000Z');
CREATE TABLE session_state (
        account_id INTEGER NOT NULL,
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (account_id, "key")
    ) STRICT;
INSERT INTO "session_state" VALUES(101,'peak','{"equity":1}','2026-11-21T07:00:00.000000Z');
CREATE TABLE trade_history (
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
    ) STRICT;
INSERT INTO "trade_history" VALUES(101,9,'CON.F.US.MNQ.Z26','2026-11-21T07:00:00.000000Z','21000.25','-60.00','0.74',1,1,0,5);
CREATE INDEX lockouts_by_account ON lockouts (account_id, cleared_at);
CREATE INDEX enforcement_log_by_account ON enforcement_log (account_id, id);
CREATE INDEX enforcement_log_by_result ON enforcement_log (result);
CREATE INDEX trade_history_by_time ON trade_history (creation_timestamp);
COMMIT;
