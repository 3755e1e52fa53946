/* The heap against the loop of the references, on random words and random merges. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/bpe.h"
#include "tests/support/program.h"

enum { PLANTED_BITS = 20, PLANTED = 1 << PLANTED_BITS };
enum { MERGES = 400, LETTERS = 4, WORD_MAX = 300, WORDS = 3000, BYTE_IDS = 512 };

/* xorshift; the same words in every run. */
static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Merges as training makes them: of symbols that are there, each pair once. */
static void make_vocabulary(struct vocabulary *vocabulary, uint32_t *state) {
    *vocabulary = (struct vocabulary){.size = BYTE_IDS + MERGES};
    for (uint32_t i = 0; i < 256; i++) {
        vocabulary->byte_ids[i] = i;
        vocabulary->last_byte_ids[i] = 256 + i;
    }
    vocabulary->merges = calloc(MERGES, sizeof(*vocabulary->merges));
    ck_assert_ptr_nonnull(vocabulary->merges);
    bool ends[BYTE_IDS + MERGES] = {false}; /* symbols that only end words */
    for (uint32_t i = 256; i < 512; i++) ends[i] = true;
    for (uint32_t made = 0; made < MERGES;) {
        uint32_t pick[2];
        for (size_t k = 0; k < 2; k++) {
            uint32_t choice = next_random(state) % (2 * LETTERS + made);
            pick[k] = choice < LETTERS       ? 'a' + choice
                      : choice < 2 * LETTERS ? 256 + 'a' + choice - LETTERS
                                             : BYTE_IDS + choice - 2 * LETTERS;
        }
        bool known = ends[pick[0]];
        for (uint32_t i = 0; i < made; i++)
            known = known || (vocabulary->merges[i].left == pick[0] &&
                              vocabulary->merges[i].right == pick[1]);
        if (known) continue;
        uint32_t id = BYTE_IDS + made;
        ends[id] = ends[pick[1]];
        vocabulary->merges[made++] = (struct vocabulary_merge){pick[0], pick[1], id};
    }
    vocabulary->merges_count = MERGES;
}

/* Merge by merge, all occurrences from left to right: the lowest rank present each time. */
static size_t encode_plainly(uint32_t *ids, const struct vocabulary *vocabulary,
                             struct bytes word) {
    size_t count = word.size;
    for (size_t i = 0; i < count; i++) ids[i] = word.data[i];
    ids[count - 1] += 256;
    for (;;) {
        const struct vocabulary_merge *best = NULL;
        for (size_t m = 0; m < vocabulary->merges_count && !best; m++)
            for (size_t i = 0; i + 1 < count && !best; i++)
                if (ids[i] == vocabulary->merges[m].left &&
                    ids[i + 1] == vocabulary->merges[m].right)
                    best = &vocabulary->merges[m];
        if (!best) return count;
        size_t written = 0;
        for (size_t i = 0; i < count; i++) {
            bool pair = i + 1 < count && ids[i] == best->left && ids[i + 1] == best->right;
            ids[written++] = pair ? best->result : ids[i];
            i += pair;
        }
        count = written;
    }
}

START_TEST(same_as_the_plain_loop) {
    uint32_t state = 2463534242U;
    struct vocabulary vocabulary;
    struct bpe *bpe;
    make_vocabulary(&vocabulary, &state);
    ck_assert_int_eq(bpe_create(&bpe, &vocabulary, NULL), STATUS_OK);
    struct bpe_workspace workspace;
    bpe_workspace_init(&workspace);
    size_t merged = 0;
    for (size_t n = 0; n < WORDS; n++) {
        uint8_t word[WORD_MAX] = {0};
        uint32_t expected[WORD_MAX] = {0}, found[WORD_MAX] = {0};
        size_t size = 1 + next_random(&state) % (n % 10 ? 20 : WORD_MAX);
        for (size_t i = 0; i < size; i++) word[i] = 'a' + next_random(&state) % LETTERS;
        struct tokens tokens = {.ids = found};
        ck_assert_int_eq(
            bpe_encode(&tokens, WORD_MAX, bpe, &workspace, (struct bytes){word, size}, NULL),
            STATUS_OK);
        size_t count = encode_plainly(expected, &vocabulary, (struct bytes){word, size});
        ck_assert_uint_eq(tokens.count, count);
        ck_assert_uint_eq(tokens.total, count);
        ck_assert_mem_eq(found, expected, count * sizeof(*found));
        merged += size - count;
    }
    ck_assert_uint_gt(merged, WORDS);
    bpe_workspace_free(&workspace);
    bpe_destroy(bpe);
    vocabulary_free(&vocabulary);
}
END_TEST

START_TEST(without_merges_bytes_stay) {
    struct vocabulary vocabulary = {.size = BYTE_IDS};
    for (uint32_t i = 0; i < 256; i++) {
        vocabulary.byte_ids[i] = i;
        vocabulary.last_byte_ids[i] = 256 + i;
    }
    struct bpe *bpe;
    ck_assert_int_eq(bpe_create(&bpe, &vocabulary, NULL), STATUS_OK);
    struct bpe_workspace workspace;
    bpe_workspace_init(&workspace);
    uint32_t ids[2];
    struct tokens tokens = {.ids = ids};
    ck_assert_int_eq(bpe_encode(&tokens, 2, bpe, &workspace, bytes_of("abc"), NULL), STATUS_OK);
    ck_assert_uint_eq(tokens.count, 2); /* the limit; all are counted */
    ck_assert_uint_eq(tokens.total, 3);
    ck_assert_uint_eq(ids[1], 'b');
    bpe_workspace_free(&workspace);
    bpe_destroy(bpe);
    bpe_destroy(NULL);
}
END_TEST

/* A million merges whose pairs, times the number that all tables once had, begin alike: minutes
 * and hours, were it still so. */
START_TEST(planted_pairs) {
    const uint64_t inverse = 0xF1DE83E19937733DU, wanted = (uint64_t)5 << (63 - PLANTED_BITS);
    ck_assert_uint_eq(inverse * 0x9E3779B97F4A7C15U, 1);
    struct vocabulary_merge *merges = calloc(PLANTED, sizeof(*merges));
    ck_assert_ptr_nonnull(merges);
    for (uint32_t i = 0; i < PLANTED; i++) {
        uint64_t key = (wanted + i) * inverse;
        key ^= key >> 29 ^ key >> 58;
        merges[i] = (struct vocabulary_merge){(uint32_t)(key >> 32), (uint32_t)key, i};
    }
    struct bpe *bpe;
    struct bpe_workspace workspace;
    ck_assert_int_eq(bpe_create_merges(&bpe, merges, NULL, PLANTED, NULL), STATUS_OK);
    bpe_workspace_init(&workspace);
    for (uint32_t i = 0; i < PLANTED; i += PLANTED / 16) {
        uint32_t ids[2] = {merges[i].left, merges[i].right};
        size_t count = 2;
        ck_assert_int_eq(bpe_join(ids, &count, bpe, &workspace, NULL), STATUS_OK);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(ids[0], i);
    }
    bpe_workspace_free(&workspace);
    bpe_destroy(bpe);
    free(merges);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("bpe");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, same_as_the_plain_loop);
    tcase_add_test(cases, planted_pairs);
    tcase_add_test(cases, without_merges_bytes_stay);
    return program_run("bpe", cases, CK_NOFORK);
}
