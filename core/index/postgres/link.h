/* link.h - one connection to one PostgreSQL.
 *
 * Statements go out together and their answers come back together, in one round trip: they
 * are one transaction, unless BEGIN is among them. Rows are handed on one by one as they
 * arrive, so an answer of any size needs memory for one. Statements are prepared the first
 * time that a connection sees their text.
 *
 * Nothing here waits longer than its deadline, whatever the other side does, but for the
 * resolver of host names. One thread at a time. */
#ifndef CORE_INDEX_POSTGRES_LINK_H
#define CORE_INDEX_POSTGRES_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/index/postgres/query.h"

struct pg_conn; /* libpq's PGconn */

/* What a failure means for those who might try again. */
enum postgres_fault {
    POSTGRES_FAULT_NONE,
    POSTGRES_FAULT_STATEMENT, /* wrong in itself: it would fail again */
    POSTGRES_FAULT_CONFLICT,  /* met another transaction: it did nothing, and may be tried again */
    POSTGRES_FAULT_MISSING,   /* names a table that is not there (any more) */
    POSTGRES_FAULT_SPACE,     /* no room on a disk or in memory, shared memory too */
    POSTGRES_FAULT_LOST,      /* the connection is gone; nobody knows whether it was carried out */
};

enum { POSTGRES_PREPARED_MAX = 64, POSTGRES_RUN_MAX = 8 };

struct postgres_link {
    struct pg_conn *connection;
    uint64_t generation; /* of the pool's state when it was opened */
    /* Not the link's generation any more: whoever waits gives up. NULL: never. */
    const _Atomic uint64_t *current;
    enum postgres_fault fault; /* of the last run */
    bool delivered;            /* a caller's visitor has seen something: no second try */
    bool unconfirmed;          /* committed, but the synchronous standby has not said so */
    bool repeated;             /* what it runs may have been carried out before */
    unsigned vector_type;      /* pgvector's, for arrays; 0 before the extension is there */
    unsigned numbered;         /* prepared statements so far, for their names */
    size_t prepared_count;
    struct {
        char *sql;
        unsigned number;
    } prepared[POSTGRES_PREPARED_MAX];
};

/* Where to, and who says when to stop waiting. */
struct postgres_address {
    const char *uri;
    const char *host, *hostaddr, *port; /* the one of the URI's that is meant; NULL: as it says */
    const char *session;                /* target_session_attrs */
    const _Atomic uint64_t *current;    /* for the link's fields of these names */
    uint64_t generation;
};

/* Connects and sets up the session: `timeout_ms` becomes its statement_timeout. */
enum status postgres_link_open(struct postgres_link **out, const struct postgres_address *address,
                               uint32_t timeout_ms, uint64_t deadline_ns, struct error *err);
/* NULL is allowed. */
void postgres_link_close(struct postgres_link *link);

/* Runs at most POSTGRES_RUN_MAX statements, all or none; link->fault says more of a failure. */
enum status postgres_link_run(struct postgres_link *link, struct postgres_query *queries,
                              size_t count, uint64_t deadline_ns, struct error *err);
/* One statement without parameters whose rows do not matter. */
enum status postgres_link_do(struct postgres_link *link, const char *sql, uint64_t deadline_ns,
                             struct error *err);
/* Ends a transaction that writes. */
enum status postgres_link_commit(struct postgres_link *link, uint64_t deadline_ns,
                                 struct error *err);

/* It can be used again: open, and outside of a transaction. */
bool postgres_link_is_idle(const struct postgres_link *link);

#endif
