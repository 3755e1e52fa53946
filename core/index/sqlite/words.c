#include "core/index/sqlite/words.h"

#include <stdlib.h>

/* Everything up to a space or control character is a word. Each becomes a string of FTS5, in
 * which only the quote means something, so that nothing of its query language is left; strings
 * side by side must all match. */
static enum status quote(struct buffer *out, struct bytes words, struct error *err) {
    bool inside = false;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < words.size && !status; i++) {
        const uint8_t c = words.data[i];
        bool space = c <= ' ' || c == 0x7F;
        if (inside == space) { /* a word begins or ends */
            status = buffer_append(out, space ? "\" " : "\"", space ? 2 : 1, err);
            inside = !space;
        }
        if (!space && !status) status = buffer_append(out, "\"\"", c == '"' ? 2 : 0, err);
        if (!space && !status && c != '"') status = buffer_append(out, &c, 1, err);
    }
    if (inside && !status) status = buffer_append(out, "\"", 1, err);
    return status;
}

static enum status append(struct sqlite_matches *matches, size_t *capacity, uint64_t row,
                          double score, struct error *err) {
    if (matches->count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 256;
        uint64_t *rows = realloc(matches->rows, more * sizeof(*rows));
        if (rows) matches->rows = rows;
        float *ranks = rows ? realloc(matches->ranks, more * sizeof(*ranks)) : NULL;
        if (!ranks) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu matches", more);
        matches->ranks = ranks;
        *capacity = more;
    }
    matches->rows[matches->count] = row;
    matches->ranks[matches->count++] = (float)((1 + score) / (2 + score));
    return STATUS_OK;
}

enum status sqlite_words_find(struct sqlite_matches *out, struct sqlite_connection *reader,
                              int64_t number, struct bytes words, const uint64_t *only,
                              size_t only_count, struct error *err) {
    sqlite3_stmt *statement;
    struct buffer query;
    size_t capacity = 0, at = 0;
    *out = (struct sqlite_matches){0};
    buffer_init(&query, (size_t)COLLECTION_WORDS_MAX * 4);
    enum status status = quote(&query, words, err);
    if (!status && !query.size) return STATUS_OK; /* spaces alone */
    if (!status)
        status = sqlite_prepare(&statement, reader,
                                "SELECT rowid, bm25(words_@) FROM words_@ WHERE words_@ MATCH ?1 "
                                "ORDER BY rowid",
                                number, err);
    if (!status) sqlite_bind_text(statement, 1, buffer_view(&query));
    while (!status) {
        bool there;
        status = sqlite_step(reader, statement, &there, err);
        if (status || !there) break;
        uint64_t row = (uint64_t)sqlite3_column_int64(statement, 0);
        double score = -sqlite3_column_double(statement, 1);
        while (only && at < only_count && only[at] < row) at++;
        if (only && (at == only_count || only[at] != row)) continue;
        status = append(out, &capacity, row, score > 0 ? score : 0, err);
    }
    buffer_free(&query);
    return status;
}

void sqlite_matches_free(struct sqlite_matches *matches) {
    free(matches->rows);
    free(matches->ranks);
}
