/* postgres.c - the store in PostgreSQL: still to come. */
#include "core/index/store.h"

enum status postgres_store_open(const struct store **out, void **self,
                                const struct collections_options *options, struct error *err) {
    (void)out;
    (void)self;
    (void)options;
    return error_set(err, STATUS_UNSUPPORTED, "this build has no PostgreSQL store");
}
