#include "core/weights/pytorch.h"

#include <string.h>

#include "core/weights/state_dict.h"

/* The number that torch.save() once began with. */
static const uint8_t magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

enum { LEGACY_VERSION = 1001 };

bool pytorch_sniff(struct bytes file) {
    if (file.size < 4) return false;
    return !memcmp(file.data, "PK\3\4", 4) || (file.data[0] == 0x80 && file.data[1] <= 5);
}

/* ---- archives ---- */

static bool ends_with(struct bytes name, const char *ending) {
    size_t size = strlen(ending);
    return name.size > size && !memcmp(name.data + name.size - size, ending, size);
}

/* "<root>/data.pkl", of which there is one; *root becomes "<root>/". */
static enum status find_pickle(struct bytes *out, struct bytes *root, const struct zip *zip,
                               struct error *err) {
    const struct zip_entry *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < zip->count; i++) {
        struct bytes name = zip->entries[i].name;
        if (!ends_with(name, "/data.pkl")) continue;
        *root = (struct bytes){.data = name.data, .size = name.size - strlen("data.pkl")};
        if (memchr(root->data, '/', root->size - 1)) continue;
        found = &zip->entries[i];
        count++;
    }
    if (count != 1) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "not an archive of PyTorch: %zu of its %zu entries are a data.pkl in a "
                         "folder, one is expected",
                         count, zip->count);
    }
    *root = (struct bytes){.data = found->name.data, .size = found->name.size - strlen("data.pkl")};
    return zip_data(out, zip, found, err);
}

static enum status check_byte_order(const struct zip *zip, struct bytes root, struct error *err) {
    static const char file[] = "byteorder";
    struct buffer name;
    struct bytes order;
    buffer_init(&name, root.size + sizeof(file));
    enum status status = buffer_append(&name, root.data, root.size, err);
    if (!status) status = buffer_append(&name, file, sizeof(file) - 1, err);
    const struct zip_entry *entry = status ? NULL : zip_find(zip, buffer_view(&name));
    buffer_free(&name);
    if (!entry) return status;
    status = zip_data(&order, zip, entry, err);
    if (status || (order.size >= 6 && !memcmp(order.data, "little", 6))) return status;
    return error_set(err, STATUS_UNSUPPORTED, "the numbers in the archive are not little-endian");
}

static enum status parse_archive(struct tensors *out, struct bytes file, struct error *err) {
    struct zip zip;
    struct bytes text = {0}, root = {0};
    struct pickle pickle = {0};
    struct storages storages = {0};
    size_t used;
    enum status status = zip_open(&zip, file, err);
    if (status) return status;
    status = find_pickle(&text, &root, &zip, err);
    if (!status) status = check_byte_order(&zip, root, err);
    if (!status) status = pickle_parse(&pickle, &used, text, err);
    if (!status) status = storages_collect(&storages, &pickle, err);
    if (!status) status = storages_place_entries(&storages, &zip, root, err);
    if (!status) status = state_dict_read(out, &pickle, &storages, file.size, err);
    storages_free(&storages);
    pickle_free(&pickle);
    zip_close(&zip);
    return status;
}

/* ---- the older form ---- */

static enum status next_pickle(struct pickle *out, struct bytes *rest, struct error *err) {
    size_t used;
    enum status status = pickle_parse(out, &used, *rest, err);
    if (!status) *rest = (struct bytes){.data = rest->data + used, .size = rest->size - used};
    return status;
}

/* A magic number, a version and the numbers of the machine that wrote the file. */
static enum status read_preamble(struct bytes *rest, struct error *err) {
    for (int i = 0; i < 3; i++) {
        struct pickle pickle;
        enum status status = next_pickle(&pickle, rest, err);
        if (status) return status;
        const struct pickle_value *value = pickle_get(&pickle, pickle.root);
        bool good = true;
        if (i == 0)
            good = value->kind == PICKLE_LONG && value->text.size == sizeof(magic) &&
                   !memcmp(value->text.data, magic, sizeof(magic));
        else if (i == 1)
            good = value->kind == PICKLE_INTEGER && value->integer == LEGACY_VERSION;
        else
            good = state_dict_says_little_endian(&pickle);
        pickle_free(&pickle);
        if (good) continue;
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: this pickle is none of PyTorch's, or not of a version and a machine "
                         "that are supported",
                         i == 0   ? "no magic number"
                         : i == 1 ? "not version 1001"
                                  : "not little-endian");
    }
    return STATUS_OK;
}

static enum status parse_legacy(struct tensors *out, struct bytes file, struct error *err) {
    struct bytes rest = file;
    struct pickle pickle = {0}, keys = {0};
    struct storages storages = {0};
    enum status status = read_preamble(&rest, err);
    if (!status) status = next_pickle(&pickle, &rest, err);
    if (!status) status = next_pickle(&keys, &rest, err);
    if (!status) status = storages_collect(&storages, &pickle, err);
    if (!status) status = storages_place_sequence(&storages, &keys, rest, err);
    if (!status) status = state_dict_read(out, &pickle, &storages, file.size, err);
    storages_free(&storages);
    pickle_free(&keys);
    pickle_free(&pickle);
    return status;
}

enum status pytorch_parse(struct tensors *out, struct bytes file, struct error *err) {
    *out = (struct tensors){0};
    bool archive = file.size >= 4 && !memcmp(file.data, "PK\3\4", 4);
    return archive ? parse_archive(out, file, err) : parse_legacy(out, file, err);
}
