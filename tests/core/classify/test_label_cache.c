/* The cache gives back what it was given, holds its bound, and forgets the oldest. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "core/classify/label_cache.h"
#include "tests/support/program.h"

enum { DIM = 8 };

static void key_of(uint8_t key[SHA256_SIZE], int number) {
    sha256(key, (struct bytes){.data = (const uint8_t *)&number, .size = sizeof(number)});
}

static void put(struct label_cache *cache, int number) {
    uint8_t key[SHA256_SIZE];
    float embedding[DIM];
    key_of(key, number);
    for (int i = 0; i < DIM; i++) embedding[i] = (float)(number + i);
    label_cache_put(cache, key, embedding, DIM, number % 3 == 0);
}

static bool get(struct label_cache *cache, int number) {
    uint8_t key[SHA256_SIZE];
    float embedding[DIM];
    key_of(key, number);
    bool truncated = false;
    if (!label_cache_get(cache, key, embedding, DIM, &truncated)) return false;
    ck_assert(truncated == (number % 3 == 0));
    for (int i = 0; i < DIM; i++) ck_assert(embedding[i] == (float)(number + i));
    return true;
}

START_TEST(what_went_in_comes_out) {
    struct label_cache *cache;
    struct classifier_stats stats;
    ck_assert_int_eq(label_cache_create(&cache, 1 << 20, NULL), STATUS_OK);
    ck_assert(!get(cache, 1));
    for (int i = 0; i < 1000; i++) put(cache, i);
    put(cache, 5);
    for (int i = 0; i < 1000; i++) ck_assert(get(cache, i));
    label_cache_read_stats(cache, &stats);
    ck_assert_uint_eq(stats.hits, 1000);
    ck_assert_uint_eq(stats.misses, 1);
    label_cache_destroy(cache);
    label_cache_destroy(NULL);
}
END_TEST

START_TEST(the_bound_holds_and_the_oldest_goes) {
    struct label_cache *cache;
    struct classifier_stats one, stats;
    ck_assert_int_eq(label_cache_create(&cache, 1 << 20, NULL), STATUS_OK);
    put(cache, 0);
    label_cache_read_stats(cache, &one);
    label_cache_destroy(cache);

    ck_assert_int_eq(label_cache_create(&cache, 3 * (size_t)one.bytes, NULL), STATUS_OK);
    for (int i = 0; i < 3; i++) put(cache, i);
    ck_assert(get(cache, 0)); /* used: now 1 is the oldest */
    put(cache, 3);
    ck_assert(get(cache, 0) && !get(cache, 1) && get(cache, 2) && get(cache, 3));
    for (int i = 10; i < 500; i++) put(cache, i);
    label_cache_read_stats(cache, &stats);
    ck_assert_uint_eq(stats.bytes, 3 * one.bytes);
    ck_assert(get(cache, 499) && !get(cache, 0));
    label_cache_destroy(cache);

    ck_assert_int_eq(label_cache_create(&cache, (size_t)one.bytes - 1, NULL), STATUS_OK);
    put(cache, 0);
    ck_assert(!get(cache, 0));
    label_cache_destroy(cache);
}
END_TEST

START_TEST(another_dimension_is_a_miss) {
    struct label_cache *cache;
    uint8_t key[SHA256_SIZE];
    float embedding[2 * DIM];
    bool truncated;
    ck_assert_int_eq(label_cache_create(&cache, 1 << 20, NULL), STATUS_OK);
    put(cache, 7);
    key_of(key, 7);
    ck_assert(!label_cache_get(cache, key, embedding, 2 * (size_t)DIM, &truncated));
    label_cache_destroy(cache);
}
END_TEST

static void *hammer(void *argument) {
    struct label_cache *cache = argument;
    for (int i = 0; i < 3000; i++) {
        uint8_t key[SHA256_SIZE];
        float embedding[DIM];
        bool truncated;
        put(cache, i % 97);
        key_of(key, i % 89);
        label_cache_get(cache, key, embedding, DIM, &truncated);
    }
    return NULL;
}

START_TEST(threads_share_it) {
    struct label_cache *cache;
    pthread_t threads[4];
    ck_assert_int_eq(label_cache_create(&cache, 4096, NULL), STATUS_OK);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, hammer, cache);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    put(cache, 1);
    ck_assert(get(cache, 1));
    label_cache_destroy(cache);
}
END_TEST

/* A class that is not complete is replaced by more of it, and by all of it. */
START_TEST(parts) {
    struct label_cache *cache;
    struct classifier_stats stats, whole;
    uint8_t key[SHA256_SIZE];
    double sum[DIM] = {0.1, 0.2}, found[DIM];
    size_t prompts = 0;
    bool truncated = false;
    key_of(key, 3);
    ck_assert_int_eq(label_cache_create(&cache, 1 << 20, NULL), STATUS_OK);
    ck_assert(!label_cache_get_part(cache, key, found, DIM, &prompts, &truncated));
    label_cache_put_part(cache, key, sum, DIM, 5, true);
    ck_assert(label_cache_get_part(cache, key, found, DIM, &prompts, &truncated));
    ck_assert(prompts == 5 && truncated);
    ck_assert_mem_eq(found, sum, sizeof(sum));
    ck_assert(!label_cache_get_part(cache, key, found, DIM / 2, &prompts, &truncated));
    ck_assert(!get(cache, 3));
    sum[0] = 7;
    label_cache_put_part(cache, key, sum, DIM, 4, true); /* another request was faster */
    ck_assert(label_cache_get_part(cache, key, found, DIM, &prompts, &truncated));
    ck_assert(prompts == 5 && found[0] < 1);
    label_cache_put_part(cache, key, sum, DIM, 6, true);
    ck_assert(label_cache_get_part(cache, key, found, DIM, &prompts, &truncated));
    ck_assert(prompts == 6 && found[0] > 1);
    put(cache, 3);
    ck_assert(get(cache, 3));
    label_cache_put_part(cache, key, sum, DIM, 7, true);
    ck_assert(get(cache, 3));
    ck_assert(!label_cache_get_part(cache, key, found, DIM, &prompts, &truncated));
    label_cache_read_stats(cache, &stats);
    ck_assert(stats.hits == 2 && stats.misses == 1);
    label_cache_destroy(cache);
    ck_assert_int_eq(label_cache_create(&cache, 1 << 20, NULL), STATUS_OK);
    put(cache, 3);
    label_cache_read_stats(cache, &whole);
    ck_assert_uint_eq(stats.bytes, whole.bytes);
    label_cache_destroy(cache);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("label_cache");
    tcase_add_test(tcase, what_went_in_comes_out);
    tcase_add_test(tcase, parts);
    tcase_add_test(tcase, the_bound_holds_and_the_oldest_goes);
    tcase_add_test(tcase, another_dimension_is_a_miss);
    tcase_add_test(tcase, threads_share_it);
    return program_run("label_cache", tcase, CK_NOFORK);
}
