/* answer.h - the JSON that a hub answers with. It comes from another machine: whatever it
 * says is checked, and none of it becomes a path before repository_path_is_safe() agrees. */
#ifndef HUB_ANSWER_H
#define HUB_ANSWER_H

#include "hub/file_list.h"
#include "hub/repository.h"

/* More than any list of files or index of shards has. */
enum { ANSWER_SIZE_MAX = 16 << 20 };

/* What a hub says of a model: the commit that a revision stands for, and its files. */
struct listing {
    char commit[REPOSITORY_COMMIT_SIZE + 1];
    struct file_list files;
};

/* GET /api/models/NAME/revision/REVISION. On failure there is nothing to free. */
enum status answer_read_listing(struct listing *out, struct bytes json, struct error *err);
void answer_free_listing(struct listing *listing);

/* The files that an index of shards (*.index.json) names, each once, with `folder` in front:
 * "" or "text_encoder/". On failure there is nothing to free. */
enum status answer_read_index(struct file_list *out, const char *folder, struct bytes json,
                              struct error *err);

#endif
