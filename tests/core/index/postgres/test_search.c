/* How searches ask a real PostgreSQL. What they find is in test_store.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/index/collection.h"
#include "tests/support/postgres_database.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

static char *address;

/* Ranks of texts with one occurrence of a word are equal, and PostgreSQL's own order of equal
 * ones is the one that is wanted: nothing has to be looked for behind them. */
START_TEST(words_alone_are_asked_for_once) {
    enum { ITEMS = 40 };
    struct collections *c = step_open_store(address);
    struct collection_spec spec = step_spec_of("common");
    struct search words = {.top_k = 3, .offset = 1, .score_min = -1, .words = bytes_of("common")};
    step_make(c, &spec);
    for (size_t i = 0; i < ITEMS; i++) {
        char id[8];
        float embedding[STEP_DIM];
        snprintf(id, sizeof(id), "%c%02zu", i % 2 ? 'a' : 'B', i * 7 % ITEMS);
        struct item item = step_item_at(id, 0.01, embedding);
        item.text = bytes_of("a common word");
        step_must_put(c, "common", item);
    }
    step_search_sees(c, "common", &words, 1, " B02 B04 B06", "a word that all have");
    char *asked = postgres_database_run(
        address, "SELECT string_agg(substring(query FROM 'LIMIT.*'), ',') FROM pg_stat_activity "
                 "WHERE application_name = 'clipd' AND datname = current_database() AND "
                 "query LIKE 'SELECT id, CASE%'");
    ck_assert_str_eq(asked, "LIMIT 20");
    free(asked);
    step_drop(c, "common");
    collections_close(c);
}
END_TEST

int main(void) {
    address = postgres_database_create();
    if (!address) return 0;
    log_init(LOG_ERROR, LOG_TEXT);
    TCase *tcase = tcase_create("postgres_search");
    tcase_add_test(tcase, words_alone_are_asked_for_once);
    int failed = program_run("postgres_search", tcase, CK_NOFORK);
    postgres_database_drop(address);
    return failed;
}
