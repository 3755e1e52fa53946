#include "core/text/sentencepiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/little_endian.h"
#include "core/text/vocabulary.h"

/* Of sentencepiece_model.proto. */
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };
enum {
    TRAINER_TYPE = 3,
    TRAINER_SUFFIX = 24,
    TRAINER_BYTES = 35,
    TRAINER_UNKNOWN = 40,
    TRAINER_END = 42,
    TRAINER_PAD = 43
};
enum { TRAINER_UNIGRAM = 1, TRAINER_BPE = 2 };
enum { RULES_CHARSMAP = 2, RULES_DUMMY = 3, RULES_EXTRA = 4, RULES_ESCAPE = 5 };

/* Ids of fairseq, and what all others are shifted by. */
enum { FAIRSEQ_START, FAIRSEQ_PAD, FAIRSEQ_END, FAIRSEQ_UNKNOWN, FAIRSEQ_SHIFT = 1 };
enum { MERGES_MAX = 1 << 21, STEPS_MAX = 1 << 26, VARINT_MAX = 10, UNKNOWN_PENALTY = 10 };

struct entry {
    struct bytes text;
    float score;
    uint64_t type;
};

/* What the file says, while it is read. */
struct draft {
    struct subword *out;
    struct entry *entries; /* [count] */
    size_t count, capacity;
    uint64_t model_type, end, pad;
    bool bytes, suffix, fairseq;
};

/* ---- the protocol buffer ---- */

/* One field of a message. */
struct field {
    uint64_t number;
    uint64_t value;      /* of a varint or of 4 or 8 bytes */
    struct bytes string; /* of a string or a message */
};

static bool take_varint(uint64_t *value, struct bytes *from) {
    *value = 0;
    for (unsigned i = 0; i < VARINT_MAX && i < from->size; i++) {
        *value |= (uint64_t)(from->data[i] & 0x7F) << (7 * i);
        if (from->data[i] & 0x80) continue;
        *from = (struct bytes){from->data + i + 1, from->size - i - 1};
        return true;
    }
    return false;
}

static bool take_bytes(struct bytes *out, uint64_t size, struct bytes *from) {
    if (size > from->size) return false;
    *out = (struct bytes){from->data, (size_t)size};
    *from = (struct bytes){from->data + size, from->size - (size_t)size};
    return true;
}

/* False when the message is broken. Groups, which nobody uses any more, count as broken. */
static bool take_field(struct field *out, struct bytes *from) {
    uint64_t tag, size;
    struct bytes fixed;
    if (!take_varint(&tag, from)) return false;
    *out = (struct field){.number = tag >> 3};
    switch (tag & 7) {
    case 0: return take_varint(&out->value, from);
    case 1:
    case 5:
        if (!take_bytes(&fixed, (tag & 7) == 1 ? 8 : 4, from)) return false;
        out->value = little_endian(fixed.data, fixed.size);
        return true;
    case 2: return take_varint(&size, from) && take_bytes(&out->string, size, from);
    default: return false;
    }
}

static enum status broken(const char *what, struct error *err) {
    return error_set(err, STATUS_INVALID, "the SentencePiece model has a broken %s", what);
}

static enum status add_entry(struct draft *draft, const struct entry *entry, struct error *err) {
    if (draft->count >= VOCABULARY_IDS_MAX - 2)
        return error_set(err, STATUS_TOO_LARGE, "more than %d pieces", VOCABULARY_IDS_MAX - 2);
    if (draft->count == draft->capacity) {
        size_t capacity = draft->capacity ? 2 * draft->capacity : 1024;
        struct entry *entries = realloc(draft->entries, capacity * sizeof(*entries));
        if (!entries) return error_set(err, STATUS_NO_MEMORY, "out of memory for pieces");
        draft->entries = entries;
        draft->capacity = capacity;
    }
    draft->entries[draft->count++] = *entry;
    return STATUS_OK;
}

static enum status read_piece(struct draft *draft, struct bytes message, struct error *err) {
    struct entry entry = {.type = TYPE_NORMAL};
    while (message.size) {
        struct field field;
        if (!take_field(&field, &message)) return broken("piece", err);
        if (field.number == PIECE_TEXT) entry.text = field.string;
        if (field.number == PIECE_TYPE) entry.type = field.value;
        if (field.number != PIECE_SCORE) continue;
        uint32_t bits = (uint32_t)field.value;
        memcpy(&entry.score, &bits, sizeof(bits));
    }
    if (!isfinite(entry.score))
        return error_set(err, STATUS_INVALID, "piece %zu has a score that is no number",
                         draft->count);
    return add_entry(draft, &entry, err);
}

static enum status read_trainer(struct draft *draft, struct bytes message, struct error *err) {
    while (message.size) {
        struct field field;
        if (!take_field(&field, &message)) return broken("trainer_spec", err);
        switch (field.number) {
        case TRAINER_TYPE: draft->model_type = field.value; break;
        case TRAINER_SUFFIX: draft->suffix = field.value; break;
        case TRAINER_BYTES: draft->bytes = field.value; break;
        case TRAINER_END: draft->end = field.value; break;
        case TRAINER_PAD: draft->pad = field.value; break;
        default: break;
        }
    }
    return STATUS_OK;
}

static enum status read_rules(struct draft *draft, struct bytes message, struct error *err) {
    struct words_rules *words = &draft->out->words;
    struct bytes charsmap = {0};
    while (message.size) {
        struct field field;
        if (!take_field(&field, &message)) return broken("normalizer_spec", err);
        switch (field.number) {
        case RULES_CHARSMAP: charsmap = field.string; break;
        case RULES_DUMMY: words->dummy_prefix = field.value; break;
        case RULES_EXTRA: words->remove_extra = field.value; break;
        case RULES_ESCAPE: words->escape = field.value; break;
        default: break;
        }
    }
    charsmap_close(&words->charsmap);
    return charsmap_open(&words->charsmap, charsmap, err);
}

static enum status read_file(struct draft *draft, struct bytes file, struct error *err) {
    enum status status = STATUS_OK;
    while (file.size && !status) {
        struct field field;
        if (!take_field(&field, &file)) return broken("field", err);
        switch (field.number) {
        case MODEL_PIECE: status = read_piece(draft, field.string, err); break;
        case MODEL_TRAINER: status = read_trainer(draft, field.string, err); break;
        case MODEL_NORMALIZER: status = read_rules(draft, field.string, err); break;
        default: break;
        }
    }
    if (status) return status;
    if (draft->suffix)
        return error_set(err, STATUS_UNSUPPORTED, "spaces at the end of pieces are not supported");
    if (draft->model_type == TRAINER_UNIGRAM || draft->model_type == TRAINER_BPE) return STATUS_OK;
    return error_set(err, STATUS_UNSUPPORTED,
                     "a SentencePiece model of type %llu is not supported; supported are unigram "
                     "(1) and BPE (2)",
                     (unsigned long long)draft->model_type);
}

/* ---- what it becomes ---- */

static uint32_t id_of(const struct draft *draft, size_t place) {
    static const uint32_t first[] = {FAIRSEQ_UNKNOWN, FAIRSEQ_START, FAIRSEQ_END};
    if (!draft->fairseq) return (uint32_t)place;
    if (place < sizeof(first) / sizeof(first[0])) return first[place];
    return (uint32_t)place + FAIRSEQ_SHIFT;
}

/* A piece that the user defined is nearly always preferred, the longer the more. */
static void set_scores(struct draft *draft) {
    struct subword *out = draft->out;
    float least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < draft->count; i++) {
        const struct entry *entry = &draft->entries[i];
        if (entry->type != TYPE_NORMAL) continue;
        least = fminf(least, entry->score);
        most = fmaxf(most, entry->score);
    }
    if (least > most) least = most = 0;
    for (size_t i = 0; i < draft->count; i++) {
        const struct entry *entry = &draft->entries[i];
        float score = entry->score;
        if (entry->type == TYPE_USER) score = (float)entry->text.size * most - 0.1F;
        out->scores[id_of(draft, i)] = (double)score;
    }
    out->unknown_score = (double)(least - UNKNOWN_PENALTY);
    out->narrow = true;
}

static enum status add_pieces(struct draft *draft, struct error *err) {
    struct subword *out = draft->out;
    enum status status = STATUS_OK;
    char name[8];
    for (size_t i = 0; i < draft->count && !status; i++) {
        const struct entry *entry = &draft->entries[i];
        uint32_t id = id_of(draft, i);
        if (entry->type == TYPE_NORMAL || entry->type == TYPE_USER)
            status = pieces_add(&out->pieces, entry->text, id, err);
        if (entry->type == TYPE_USER && !status)
            status = pieces_add(&out->kept, entry->text, id, err);
        if (entry->type == TYPE_UNKNOWN) out->unknown_id = id;
        bool named = entry->text.size && entry->text.size < sizeof(name);
        if (entry->type != TYPE_BYTE || !named) continue;
        memcpy(name, entry->text.data, entry->text.size);
        name[entry->text.size] = 0;
        char *end = name;
        unsigned long byte = strncmp(name, "<0x", 3) ? 256 : strtoul(name + 1, &end, 16);
        if (byte < 256 && !strcmp(end, ">")) out->byte_ids[byte] = id;
    }
    return status;
}

/* Pieces by score, the best first; equal ones share a rank. */
static int by_score(const void *a, const void *b) {
    float x = ((const struct entry *)a)->score, y = ((const struct entry *)b)->score;
    return (x < y) - (x > y);
}

struct merges {
    struct vocabulary_merge *list; /* [capacity] */
    uint32_t *ranks;
    size_t count, capacity;
    size_t steps; /* bytes looked at: of a piece as many as it has, for each that it begins with */
};

static enum status add_merge(struct merges *merges, const struct vocabulary_merge *merge,
                             uint32_t rank, struct error *err) {
    if (merges->count == MERGES_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d merges", MERGES_MAX);
    if (merges->count == merges->capacity) {
        size_t capacity = merges->capacity ? 2 * merges->capacity : 1024;
        struct vocabulary_merge *list = realloc(merges->list, capacity * sizeof(*list));
        if (list) merges->list = list;
        uint32_t *ranks = realloc(merges->ranks, capacity * sizeof(*ranks));
        if (ranks) merges->ranks = ranks;
        if (!list || !ranks) return error_set(err, STATUS_NO_MEMORY, "out of memory for merges");
        merges->capacity = capacity;
    }
    merges->list[merges->count] = *merge;
    merges->ranks[merges->count++] = rank;
    return STATUS_OK;
}

/* Every way to put a piece together of two others. */
static enum status add_merges(struct merges *merges, const struct draft *draft, struct bytes text,
                              uint32_t rank, struct error *err) {
    const struct pieces *pieces = &draft->out->pieces, *kept = &draft->out->kept;
    struct vocabulary_merge merge = {.result = pieces_find(pieces, text)};
    struct pieces_walk walk = pieces_begin(pieces);
    enum status status = STATUS_OK;
    for (size_t at = 1; at < text.size && !status; at++) {
        struct bytes left = {text.data, at}, right = {text.data + at, text.size - at};
        pieces_step(&walk, text.data[at - 1], &merge.left);
        if (merge.left == PIECES_NONE) continue;
        merges->steps += text.size;
        if (merges->steps > STEPS_MAX)
            return error_set(err, STATUS_TOO_LARGE,
                             "pieces that begin with others in more than %d steps", STEPS_MAX);
        merge.right = pieces_find(pieces, right);
        if (merge.right == PIECES_NONE || pieces_find(kept, left) != PIECES_NONE ||
            pieces_find(kept, right) != PIECES_NONE)
            continue;
        status = add_merge(merges, &merge, rank, err);
    }
    return status;
}

static enum status make_merges(struct draft *draft, struct error *err) {
    struct merges merges = {.count = 0};
    enum status status = STATUS_OK;
    uint32_t rank = 0;
    qsort(draft->entries, draft->count, sizeof(*draft->entries), by_score);
    for (size_t i = 0; i < draft->count && !status; i++) {
        const struct entry *entry = &draft->entries[i];
        if (i && entry->score < draft->entries[i - 1].score) rank++;
        if (entry->type != TYPE_NORMAL) continue;
        status = add_merges(&merges, draft, entry->text, rank, err);
    }
    if (!status)
        status = bpe_create_merges(&draft->out->bpe, merges.list, merges.ranks, merges.count, err);
    free(merges.list);
    free(merges.ranks);
    return status;
}

/* Start, end and padding, as the models that bring such a file were trained. */
static void set_specials(struct draft *draft) {
    struct subword *out = draft->out;
    if (draft->fairseq) {
        out->start_id = FAIRSEQ_START;
        out->pad_id = FAIRSEQ_PAD;
        out->end_id = FAIRSEQ_END;
        out->size++;
        return;
    }
    /* -1 is how the file says that there is none. */
    if (draft->end < draft->count) out->end_id = (uint32_t)draft->end;
    if (draft->pad < draft->count) out->pad_id = (uint32_t)draft->pad;
}

static enum status build(struct draft *draft, struct error *err) {
    struct subword *out = draft->out;
    if (!draft->count || (draft->fairseq && draft->count < 3))
        return error_set(err, STATUS_INVALID, "the SentencePiece model has %zu pieces",
                         draft->count);
    out->model = draft->model_type == TRAINER_BPE ? SUBWORD_BPE : SUBWORD_UNIGRAM;
    out->fuse_unknown = true;
    out->size = (uint32_t)draft->count;
    set_specials(draft);
    for (size_t i = 0; i < 256; i++) out->byte_ids[i] = PIECES_NONE;
    enum status status = add_pieces(draft, err);
    if (status) return status;
    out->has_bytes = draft->bytes;
    for (size_t i = 0; i < 256; i++) out->has_bytes &= out->byte_ids[i] != PIECES_NONE;
    if (!out->has_bytes && out->unknown_id == PIECES_NONE)
        return error_set(err, STATUS_INVALID, "the SentencePiece model has no unknown piece");
    subword_finish(out, false);
    if (out->model == SUBWORD_BPE) return make_merges(draft, err);
    out->scores = calloc(out->size, sizeof(*out->scores));
    if (!out->scores) return error_set(err, STATUS_NO_MEMORY, "out of memory for scores");
    set_scores(draft);
    return STATUS_OK;
}

bool sentencepiece_fits(struct bytes file) {
    struct bytes piece = file;
    struct field field;
    return file.size && file.data[0] == (MODEL_PIECE << 3 | 2) && take_field(&field, &piece) &&
           field.string.size && field.string.data[0] == (PIECE_TEXT << 3 | 2);
}

enum status sentencepiece_read(struct subword *out, struct bytes file, bool fairseq,
                               struct error *err) {
    struct draft draft = {
        .out = out, .model_type = TRAINER_UNIGRAM, .end = 2, .pad = UINT64_MAX, .fairseq = fairseq};
    out->words = (struct words_rules){
        .kind = WORDS_SENTENCEPIECE, .dummy_prefix = true, .remove_extra = true, .escape = true};
    enum status status = read_file(&draft, file, err);
    if (!status) status = build(&draft, err);
    free(draft.entries);
    return status;
}
