/* selection.h - which of a repository's files a model needs: its weights in one form, the
 * configurations, and what a tokenizer reads. Everything else (the same weights for other
 * frameworks, training states, pictures) stays where it is. */
#ifndef HUB_SELECTION_H
#define HUB_SELECTION_H

#include "hub/file_list.h"

struct selection {
    struct file_list files; /* the index of the shards among them, without the shards */
    const char *folder;     /* where the weights are: "", "0_CLIPModel/" or "text_encoder/" */
    const char *weights;    /* one of `files`; NULL: the repository has none */
    bool sharded;           /* `weights` is an index, which names the files with the weights */
    bool vocabulary;        /* there is one */
};

/* Chooses among `all`. On failure there is nothing to free. */
enum status selection_choose(struct selection *out, const struct file_list *all, struct error *err);
void selection_free(struct selection *selection);

#endif
