/* The JSON that a hub sends: whatever is accepted names a commit, and paths that stay where
 * they belong. */
#include <stdlib.h>
#include <string.h>

#include "hub/answer.h"
#include "hub/selection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_paths(const struct file_list *files, const char *folder) {
    for (size_t i = 0; i < files->count; i++) {
        if (!repository_path_is_safe(files->paths[i])) abort();
        if (strncmp(files->paths[i], folder, strlen(folder)) != 0) abort();
    }
}

static void check_selection(const struct file_list *files) {
    struct selection selection;
    if (selection_choose(&selection, files, NULL)) abort();
    for (size_t i = 0; i < selection.files.count; i++) {
        if (!file_list_has(files, selection.files.paths[i])) abort();
    }
    if (selection.weights && !file_list_has(&selection.files, selection.weights)) abort();
    selection_free(&selection);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes json = {data, size};
    struct error err = ERROR_NONE;
    struct listing listing;
    struct file_list shards;
    if (!answer_read_listing(&listing, json, &err)) {
        if (!repository_is_commit(listing.commit)) abort();
        check_paths(&listing.files, "");
        check_selection(&listing.files);
        answer_free_listing(&listing);
    } else if (!err.status) {
        abort();
    }
    if (!answer_read_index(&shards, "text_encoder/", json, NULL)) {
        check_paths(&shards, "text_encoder/");
        file_list_free(&shards);
    }
    return 0;
}
