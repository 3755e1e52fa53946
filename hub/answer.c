#include "hub/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json_values.h"

enum { PATH_SIZE = 2048, VALUES_MAX = 1 << 18 };

static enum status wrong(struct error *err, const char *found) {
    return error_set(err, STATUS_UNPROCESSABLE,
                     "the hub's answer is not that of a hub: %s; is HF_ENDPOINT right?", found);
}

static enum status parse(json_t **out, struct bytes json, struct error *err) {
    if (!json_values_within(json, VALUES_MAX))
        return error_set(err, STATUS_TOO_LARGE, "the hub's answer has more than %d JSON values",
                         VALUES_MAX);
    json_error_t problem;
    *out = json_loadb((const char *)json.data, json.size, 0, &problem);
    return *out ? STATUS_OK : wrong(err, problem.text);
}

/* A text without NUL in it; NULL for anything else. */
static const char *text_of(const json_t *value) {
    const char *text = json_string_value(value);
    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static enum status add_path(struct file_list *out, const char *folder, const json_t *value,
                            struct error *err) {
    const char *name = text_of(value);
    char path[PATH_SIZE];
    if (!name) return wrong(err, "a file without a name");
    if (snprintf(path, sizeof(path), "%s%s", folder, name) >= PATH_SIZE ||
        !repository_path_is_safe(path))
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the hub names a file '%.60s', which is no path within a repository",
                         name);
    return file_list_has(out, path) ? STATUS_OK : file_list_add(out, path, err);
}

static enum status read_files(struct file_list *out, const json_t *files, struct error *err) {
    size_t i;
    json_t *file;
    if (!json_is_array(files)) return wrong(err, "'siblings' is not an array of files");
    enum status status = STATUS_OK;
    json_array_foreach(files, i, file) {
        if (!status) status = add_path(out, "", json_object_get(file, "rfilename"), err);
    }
    return status;
}

enum status answer_read_listing(struct listing *out, struct bytes json, struct error *err) {
    json_t *top = NULL;
    *out = (struct listing){.commit = ""};
    enum status status = parse(&top, json, err);
    if (status) return status;
    const char *commit = text_of(json_object_get(top, "sha"));
    if (!commit || !repository_is_commit(commit))
        status = wrong(err, "'sha' is not the name of a commit");
    else
        snprintf(out->commit, sizeof(out->commit), "%s", commit);
    if (!status) status = read_files(&out->files, json_object_get(top, "siblings"), err);
    json_decref(top);
    if (status) answer_free_listing(out);
    return status;
}

void answer_free_listing(struct listing *listing) {
    file_list_free(&listing->files);
}

enum status answer_read_index(struct file_list *out, const char *folder, struct bytes json,
                              struct error *err) {
    json_t *top = NULL, *file;
    const char *tensor;
    *out = (struct file_list){0};
    enum status status = parse(&top, json, err);
    if (status) return status;
    json_t *map = json_object_get(top, "weight_map");
    if (!json_is_object(map)) status = wrong(err, "the index of the shards has no 'weight_map'");
    json_object_foreach(map, tensor, file) {
        if (!status) status = add_path(out, folder, file, err);
    }
    json_decref(top);
    if (status) file_list_free(out);
    return status;
}
