#include "cli/file_metadata.h"

#include <jansson.h>
#include <string.h>

#include "api/writer.h"

static double modified(const struct stat *info) {
    return (double)info->st_mtim.tv_sec + (double)info->st_mtim.tv_nsec / 1e9;
}

enum status file_metadata_write(struct buffer *out, const char *path, const struct stat *info,
                                struct error *err) {
    struct writer writer;
    const char *name = strrchr(path, '/');
    writer_init(&writer, out);
    writer_begin_object(&writer);
    writer_key(&writer, "path");
    writer_text(&writer, path);
    writer_key(&writer, "name");
    writer_text(&writer, name ? name + 1 : path);
    writer_key(&writer, "size");
    writer_uint(&writer, (uint64_t)info->st_size);
    writer_key(&writer, "modified");
    writer_double(&writer, modified(info));
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

bool file_metadata_fits(struct bytes metadata, const struct stat *info) {
    json_t *root = json_loadb((const char *)metadata.data, metadata.size, 0, NULL);
    bool same = json_integer_value(json_object_get(root, "size")) == info->st_size &&
                json_real_value(json_object_get(root, "modified")) == modified(info);
    json_decref(root);
    return same;
}
