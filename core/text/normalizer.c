#include "core/text/normalizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/clean.h"
#include "core/text/unicode.h"

struct normalizer_step *normalizer_add(struct normalizer *normalizer, enum normalizer_kind kind,
                                       bool first, struct error *err) {
    if (normalizer->count == NORMALIZER_STEPS_MAX) {
        error_set(err, STATUS_TOO_LARGE, "more than %d normalizers", NORMALIZER_STEPS_MAX);
        return NULL;
    }
    size_t room = (normalizer->count + 1) * sizeof(*normalizer->steps);
    struct normalizer_step *steps = realloc(normalizer->steps, room), *step;
    if (!steps) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for a normalizer");
        return NULL;
    }
    normalizer->steps = steps;
    if (first) memmove(steps + 1, steps, normalizer->count * sizeof(*steps));
    step = first ? steps : steps + normalizer->count;
    *step = (struct normalizer_step){.kind = kind};
    buffer_init(&step->content, CLEAN_OUTPUT_MAX);
    normalizer->count++;
    return step;
}

void normalizer_free(struct normalizer *normalizer) {
    for (size_t i = 0; i < normalizer->count; i++) {
        pattern_free(&normalizer->steps[i].pattern);
        buffer_free(&normalizer->steps[i].content);
        charsmap_close(&normalizer->steps[i].charsmap);
    }
    free(normalizer->steps);
    *normalizer = (struct normalizer){.count = 0};
}

static enum status apply_step(struct buffer *out, const struct normalizer_step *step,
                              struct bytes text, struct error *err) {
    struct bytes content = buffer_view(&step->content);
    enum status status = STATUS_OK;
    switch (step->kind) {
    case NORMALIZER_LOWER: return clean_lower(out, text, true, err);
    case NORMALIZER_NFC: return unicode_nfc(out, text, &text_hf_marks, err);
    case NORMALIZER_NFD: return unicode_nfd(out, text, err);
    case NORMALIZER_REPLACE: return pattern_replace(out, &step->pattern, text, content, err);
    case NORMALIZER_CHARSMAP: return charsmap_apply(out, &step->charsmap, text, err);
    case NORMALIZER_BERT: return bert_clean(out, text, &step->bert, err);
    case NORMALIZER_STRIP_ACCENTS:
        status = unicode_keep(out, text, 0, text.size, err);
        unicode_drop_marks(out);
        return status;
    case NORMALIZER_STRIP: text = unicode_strip(text, step->left, step->right); break;
    case NORMALIZER_PREPEND: status = unicode_keep(out, content, 0, content.size, err); break;
    }
    return status ? status : unicode_keep(out, text, 0, text.size, err);
}

enum status normalizer_apply(struct buffer *out, const struct normalizer *normalizer,
                             struct bytes text, struct error *err) {
    struct buffer work[2];
    buffer_init(&work[0], CLEAN_OUTPUT_MAX);
    buffer_init(&work[1], CLEAN_OUTPUT_MAX);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < normalizer->count && !status && text.size; i++) {
        struct buffer *to = &work[i % 2];
        to->size = 0;
        status = apply_step(to, &normalizer->steps[i], text, err);
        text = buffer_view(to);
    }
    if (!status) status = unicode_keep(out, text, 0, text.size, err);
    buffer_free(&work[0]);
    buffer_free(&work[1]);
    return status;
}
