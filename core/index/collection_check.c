#include "core/index/collection_check.h"

#include <math.h>
#include <string.h>

#include "core/text/unicode.h"

enum status collection_check_name(const char *name, struct error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    size_t size = strlen(name);
    if (size == 0 || size > COLLECTION_NAME_MAX)
        return error_set(err, STATUS_INVALID,
                         "the name of a collection has %zu bytes, expected 1 to %d", size,
                         COLLECTION_NAME_MAX);
    if (name[0] == '.' || strspn(name, allowed) != size)
        return error_set(err, STATUS_INVALID,
                         "the name of a collection has other characters than letters, digits, "
                         "\"-\", \"_\" and \".\", or \".\" first");
    return STATUS_OK;
}

/* Valid UTF-8 of at most `most` bytes. U+0000 never is: stores cannot hold it. */
static enum status check_text(struct bytes text, size_t most, const char *what, struct error *err) {
    size_t offset;
    if (text.size > most)
        return error_set(err, STATUS_TOO_LARGE, "%s has %zu bytes, the limit is %zu", what,
                         text.size, most);
    if (!unicode_valid(text, &offset))
        return error_set(err, STATUS_INVALID, "%s is not UTF-8 at byte %zu", what, offset);
    if (text.size && memchr(text.data, 0, text.size))
        return error_set(err, STATUS_INVALID, "%s holds U+0000", what);
    return STATUS_OK;
}

enum status collection_check_id(struct bytes id, struct error *err) {
    if (id.size == 0) return error_set(err, STATUS_INVALID, "an id is empty");
    if (id.size > COLLECTION_ID_MAX)
        return error_set(err, STATUS_INVALID, "an id has %zu bytes, the limit is %d", id.size,
                         COLLECTION_ID_MAX);
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] < 0x20 || id.data[i] == 0x7F)
            return error_set(err, STATUS_INVALID, "an id has a control character at byte %zu", i);
    }
    return check_text(id, COLLECTION_ID_MAX, "an id", err);
}

enum status collection_check_ids(const struct bytes *ids, size_t count, struct error *err) {
    if (count > COLLECTION_HITS_MAX)
        return error_set(err, STATUS_TOO_LARGE, "%zu ids in one call, the limit is %d", count,
                         COLLECTION_HITS_MAX);
    for (size_t i = 0; i < count; i++) {
        enum status status = collection_check_id(ids[i], err);
        if (status && err) err->input = (int)i;
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status check_dim(const struct collection_spec *spec, uint32_t dim, struct error *err) {
    if (dim == spec->dim) return STATUS_OK;
    return error_set(err, STATUS_CONFLICT,
                     "an embedding has %u dimensions, those of collection \"%s\" have %u", dim,
                     spec->name, spec->dim);
}

enum status collection_check_model(const struct collection_spec *spec, const char *digest,
                                   struct error *err) {
    if (strcmp(digest, spec->model_digest) == 0) return STATUS_OK;
    return error_set(err, STATUS_CONFLICT,
                     "collection \"%s\" holds embeddings of the model with digest %s, these are of "
                     "%.64s",
                     spec->name, spec->model_digest, digest);
}

/* No float can make the sum overflow in double precision. */
enum status collection_check_embedding(double *sum, const float *embedding, size_t dim,
                                       struct error *err) {
    *sum = 0;
    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(embedding[i]))
            return error_set(err, STATUS_INVALID, "value %zu of an embedding is not finite", i);
        *sum += (double)embedding[i] * embedding[i];
    }
    if (*sum > 0) return STATUS_OK;
    return error_set(err, STATUS_INVALID, "an embedding is 0 in every dimension");
}

/* JSON can spell U+0000 only as an escape: one backslash, itself not escaped. */
static bool spells_nul(struct bytes json) {
    for (size_t i = 0; i + 1 < json.size; i++) {
        if (json.data[i] != '\\') continue;
        if (json.size - i >= 6 && memcmp(json.data + i, "\\u0000", 6) == 0) return true;
        i++;
    }
    return false;
}

enum status collection_check_item_sum(double *sum, const struct collection_spec *spec,
                                      const struct item *item, struct error *err) {
    enum status status = collection_check_id(item->id, err);
    if (!status) status = check_dim(spec, item->dim, err);
    if (!status) status = collection_check_embedding(sum, item->embedding, item->dim, err);
    if (!status) status = check_text(item->metadata, COLLECTION_METADATA_MAX, "metadata", err);
    if (!status) status = check_text(item->text, COLLECTION_TEXT_MAX, "a text", err);
    if (status) return status;
    if (spells_nul(item->metadata)) return error_set(err, STATUS_INVALID, "metadata holds U+0000");
    if (item->thumbnail.size > COLLECTION_THUMBNAIL_MAX)
        return error_set(err, STATUS_TOO_LARGE, "a thumbnail has %zu bytes, the limit is %d",
                         item->thumbnail.size, COLLECTION_THUMBNAIL_MAX);
    return STATUS_OK;
}

enum status collection_check_item(const struct collection_spec *spec, const struct item *item,
                                  struct error *err) {
    double sum;
    return collection_check_item_sum(&sum, spec, item, err);
}

static enum status check_fields(const struct collection_spec *spec, struct error *err) {
    if (spec->fields_count > COLLECTION_FIELDS_MAX)
        return error_set(err, STATUS_INVALID, "%zu fields, the limit is %d", spec->fields_count,
                         COLLECTION_FIELDS_MAX);
    for (size_t i = 0; i < spec->fields_count; i++) {
        const struct collection_field *field = &spec->fields[i];
        enum status status = filter_check_field(field->path, err);
        if (status) return status;
        if (field->kind > COLLECTION_BOOL)
            return error_set(err, STATUS_INVALID, "field \"%s\" is of no known kind", field->path);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(field->path, spec->fields[j].path) == 0)
                return error_set(err, STATUS_INVALID, "field \"%s\" is there twice", field->path);
        }
    }
    return STATUS_OK;
}

enum status collection_check_spec(const struct collection_spec *spec, struct error *err) {
    enum status status = collection_check_name(spec->name, err);
    if (!status)
        status = check_text(bytes_of(spec->model), sizeof(spec->model) - 1, "a model's name", err);
    if (status) return status;
    if (strlen(spec->model_digest) != SHA256_HEX_SIZE - 1 ||
        strspn(spec->model_digest, "0123456789abcdef") != SHA256_HEX_SIZE - 1)
        return error_set(err, STATUS_INVALID, "a model's digest is not 64 digits of 0-9a-f");
    if (spec->dim == 0 || spec->dim > COLLECTION_DIM_MAX)
        return error_set(err, STATUS_INVALID, "%u dimensions, expected 1 to %d", spec->dim,
                         COLLECTION_DIM_MAX);
    if (spec->precision > COLLECTION_FP32)
        return error_set(err, STATUS_INVALID, "a collection of no known precision");
    return check_fields(spec, err);
}

static bool has_field(const struct collection_spec *spec, const struct collection_field *field) {
    for (size_t i = 0; i < spec->fields_count; i++) {
        if (spec->fields[i].kind == field->kind && strcmp(spec->fields[i].path, field->path) == 0)
            return true;
    }
    return false;
}

enum status collection_compare(const struct collection_spec *has,
                               const struct collection_spec *wanted, struct error *err) {
    if (strcmp(has->model_digest, wanted->model_digest) != 0)
        return error_set(err, STATUS_CONFLICT,
                         "collection \"%s\" is of model %s (%.12s), not of %s (%.12s)", has->name,
                         has->model, has->model_digest, wanted->model, wanted->model_digest);
    if (has->dim != wanted->dim)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" has %u dimensions, not %u",
                         has->name, has->dim, wanted->dim);
    if (has->precision != wanted->precision)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" has another precision",
                         has->name);
    for (size_t i = 0; i < wanted->fields_count; i++) {
        if (!has_field(has, &wanted->fields[i]))
            return error_set(err, STATUS_CONFLICT,
                             "collection \"%s\" has no field \"%s\" of that kind", has->name,
                             wanted->fields[i].path);
    }
    if (has->fields_count != wanted->fields_count)
        return error_set(err, STATUS_CONFLICT, "collection \"%s\" has %zu fields, not %zu",
                         has->name, has->fields_count, wanted->fields_count);
    return STATUS_OK;
}

enum status collection_check_search(const struct collection_spec *spec, const struct search *search,
                                    struct error *err) {
    enum status status = check_text(search->words, COLLECTION_WORDS_MAX, "a search by words", err);
    if (!status && search->embedding) status = check_dim(spec, search->dim, err);
    if (!status && search->embedding && search->model_digest)
        status = collection_check_model(spec, search->model_digest, err);
    if (!status) status = filter_check(search->filter, err);
    if (status) return status;
    if (!search->embedding && !search->words.size)
        return error_set(err, STATUS_INVALID, "a search has neither an embedding nor words");
    if (search->top_k == 0 || search->top_k > COLLECTION_HITS_MAX ||
        search->offset > COLLECTION_HITS_MAX - search->top_k)
        return error_set(err, STATUS_INVALID,
                         "top_k is %u and offset %u, expected at least 1 and together at most %d",
                         search->top_k, search->offset, COLLECTION_HITS_MAX);
    if (search->effort > COLLECTION_EFFORT_MAX)
        return error_set(err, STATUS_INVALID, "the effort is %u, expected at most %d",
                         search->effort, COLLECTION_EFFORT_MAX);
    if (!(search->words_weight >= 0 && search->words_weight <= 1))
        return error_set(err, STATUS_INVALID, "the weight of words is %g, expected 0 to 1",
                         (double)search->words_weight);
    if (isnan(search->score_min))
        return error_set(err, STATUS_INVALID, "the least score is not a number");
    return STATUS_OK;
}
