/* mojibake.c - repairs text that was UTF-8 and was read as another encoding.
 *
 * Follows fix_encoding() of ftfy 6.3.1 (SPEC 5.3.1). While a text is suspect, the first of
 * these that can be done is done to it: read it again as a whole, in the first encoding whose
 * bytes are UTF-8; repair each run in it that looks like UTF-8, as a text of its own; take
 * C1 controls for Windows-1252. Runs come out of texts that were just read again, with some
 * two characters for one of the run, so they are never nested deeper than a segment of a
 * million characters can be halved; each level's texts are on a stack of our own. */
#include "core/text/mojibake.h"

#include <string.h>

#include "core/text/garbled.h"
#include "core/text/reread.h"
#include "core/text/unicode.h"

enum { DEPTH_MAX = 20 };

/* A text under repair. */
struct level {
    struct buffer text;
    bool in_runs;         /* its runs are being repaired: */
    struct buffer joined; /* text[0, at), with repaired runs */
    size_t at;
};

struct repair {
    struct level levels[DEPTH_MAX];
    size_t depth; /* levels in use */
    struct buffer again, spare;
    size_t *work;
};

enum outcome { UNREADABLE, CHANGED, SETTLED };

static bool spend(struct repair *repair, struct bytes text) {
    if (text.size > *repair->work) return false;
    *repair->work -= text.size;
    return true;
}

static bool same(const struct buffer *a, const struct buffer *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void swap(struct buffer *a, struct buffer *b) {
    struct buffer kept = *a;
    *a = *b;
    *b = kept;
}

static enum outcome replace(struct buffer *text, struct buffer *with) {
    if (same(text, with)) return SETTLED;
    swap(text, with);
    return CHANGED;
}

static enum status read_again(enum outcome *outcome, struct repair *repair, struct buffer *text,
                              struct error *err) {
    unsigned encodings = reread_encodings(buffer_view(text));
    for (unsigned i = 0; i < MOJIBAKE_ENCODINGS; i++) {
        if (!(encodings >> i & 1) || !spend(repair, buffer_view(text))) continue;
        bool read;
        enum status status =
            reread_as(&repair->again, &read, buffer_view(text), i, &repair->spare, err);
        if (status) return status;
        if (read) {
            *outcome = replace(text, &repair->again);
            return STATUS_OK;
        }
    }
    *outcome = UNREADABLE;
    return STATUS_OK;
}

static enum status fix_controls(struct buffer *out, struct bytes text, struct error *err) {
    size_t kept = 0; /* bytes before it are in `out` */
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        size_t size = unicode_decode(&c, text.data + at);
        if (c >= 0x80 && c < 0xA0) {
            uint8_t encoded[4];
            size_t encoded_size = unicode_encode(encoded, text_c1_references[c - 0x80]);
            enum status status = unicode_keep(out, text, kept, at, err);
            if (!status) status = buffer_append(out, encoded, encoded_size, err);
            if (status) return status;
            kept = at + size;
        }
        at += size;
    }
    return unicode_keep(out, text, kept, text.size, err);
}

static enum status push(struct repair *repair, struct bytes text, struct error *err) {
    struct level *level = &repair->levels[repair->depth++];
    level->text.size = 0;
    level->in_runs = false;
    return buffer_append(&level->text, text.data, text.size, err);
}

/* The level's text is done: it goes to where its run was. */
static enum status pop(struct repair *repair, struct buffer *out, struct error *err) {
    struct buffer *text = &repair->levels[--repair->depth].text;
    struct buffer *to = repair->depth ? &repair->levels[repair->depth - 1].joined : out;
    return buffer_append(to, text->data, text->size, err);
}

/* The next run of the level, or, behind the last one, what is to be done with all of them. */
static enum status fix_runs(enum outcome *outcome, struct repair *repair, struct error *err) {
    struct level *level = &repair->levels[repair->depth - 1];
    struct bytes text = buffer_view(&level->text);
    size_t begin, end;
    *outcome = CHANGED;
    if (garbled_run(&begin, &end, text, level->at)) {
        struct bytes run = {text.data + begin, end - begin};
        enum status status = unicode_keep(&level->joined, text, level->at, begin, err);
        level->at = end;
        if (status) return status;
        if (run.size < text.size && repair->depth < DEPTH_MAX) return push(repair, run, err);
        return buffer_append(&level->joined, run.data, run.size, err);
    }
    enum status status = unicode_keep(&level->joined, text, level->at, text.size, err);
    if (status) return status;
    level->in_runs = false;
    *outcome = replace(&level->text, &level->joined);
    if (*outcome == CHANGED) return STATUS_OK;
    level->joined.size = 0;
    status = fix_controls(&level->joined, text, err);
    if (!status) *outcome = replace(&level->text, &level->joined);
    return status;
}

/* One step for the innermost text. */
static enum status fix_level(enum outcome *outcome, struct repair *repair, struct error *err) {
    struct level *level = &repair->levels[repair->depth - 1];
    if (level->in_runs) return fix_runs(outcome, repair, err);
    *outcome = SETTLED;
    struct bytes text = buffer_view(&level->text);
    if (!spend(repair, text) || !garbled_suspect(text)) return STATUS_OK;
    enum status status = read_again(outcome, repair, &level->text, err);
    if (status || *outcome != UNREADABLE) return status;
    level->in_runs = true;
    level->joined.size = 0;
    level->at = 0;
    return STATUS_OK;
}

enum status mojibake_fix(struct buffer *out, struct bytes text, size_t *work, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    struct repair repair = {.work = work};
    buffer_init(&repair.again, out->limit);
    buffer_init(&repair.spare, out->limit);
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        buffer_init(&repair.levels[i].text, out->limit);
        buffer_init(&repair.levels[i].joined, out->limit);
    }
    enum status status = push(&repair, text, err);
    while (!status && repair.depth) {
        enum outcome outcome;
        status = fix_level(&outcome, &repair, err);
        if (!status && outcome == SETTLED) status = pop(&repair, out, err);
    }
    buffer_free(&repair.again);
    buffer_free(&repair.spare);
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        buffer_free(&repair.levels[i].text);
        buffer_free(&repair.levels[i].joined);
    }
    return status;
}
