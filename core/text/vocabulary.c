#include "core/text/vocabulary.h"

#include <stdlib.h>

#include "core/text/vocabulary_draft.h"
#include "core/text/vocabulary_json.h"
#include "core/text/vocabulary_text.h"

static enum status read_merges_beside(struct vocabulary_draft *draft, struct vocabulary_file *file,
                                      struct error *err) {
    struct vocabulary_file merges;
    enum status status = vocabulary_file_beside(&merges, file, "merges.txt", err);
    if (!status) status = vocabulary_text_merges(draft, buffer_view(&merges.content), err);
    vocabulary_file_close(&merges);
    return status;
}

static enum status read_draft(struct vocabulary_draft *draft, struct vocabulary_file *file,
                              json_t *json, struct error *err) {
    bool needs_merges = false;
    enum status status;
    if (json)
        status = vocabulary_json_all(draft, &needs_merges, json, err);
    else
        status = vocabulary_text_all(draft, buffer_view(&file->content), err);
    if (!status && needs_merges) status = read_merges_beside(draft, file, err);
    return status ? status : vocabulary_draft_finish(draft, err);
}

enum status vocabulary_read(struct vocabulary *out, struct vocabulary_file *file, json_t *json,
                            struct error *err) {
    *out = (struct vocabulary){0};
    struct vocabulary_draft *draft = vocabulary_draft_create(out, err);
    if (!draft) return STATUS_NO_MEMORY;
    enum status status = read_draft(draft, file, json, err);
    vocabulary_draft_destroy(draft);
    if (status) vocabulary_free(out);
    return status;
}

void vocabulary_free(struct vocabulary *vocabulary) {
    for (size_t i = 0; i < vocabulary->added_count; i++) free(vocabulary->added[i].text);
    free(vocabulary->added);
    free(vocabulary->merges);
    *vocabulary = (struct vocabulary){0};
}
