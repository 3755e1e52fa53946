/* store_suite_search.h - the cases of store_suite.h about searches and what lasts. */
#ifndef TESTS_SUPPORT_STORE_SUITE_SEARCH_H
#define TESTS_SUPPORT_STORE_SUITE_SEARCH_H

void store_suite_run_search(const char *store);
void store_suite_run_ties(const char *store);
void store_suite_run_opposites(const char *store);
void store_suite_run_words(const char *store);
void store_suite_run_reopen(const char *store);
void store_suite_run_many(const char *store);

#endif
