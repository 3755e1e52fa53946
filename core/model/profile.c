#include "core/model/profile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/model/cosines.h"

enum { VERSION = 1 };

static const char *const tower_names[] = {"vision", "text"};

/* ---- reading ---- */

/* What is being read, for errors. */
struct reader {
    const char *name;
    struct error *err;
};

static enum status wrong(const struct reader *reader, const char *where, const char *problem) {
    return error_set(reader->err, STATUS_UNPROCESSABLE, "%.120s: %s: %.120s", reader->name, where,
                     problem);
}

static bool is_cosine(double value) {
    return isfinite(value) && value >= -1 && value <= 1;
}

static enum status read_cosines(const struct reader *reader, json_t *from, const char *where,
                                struct model_cosines *out) {
    json_error_t problem;
    if (json_unpack_ex(from, &problem, JSON_STRICT, "{s:F, s:F, s:F, s:F}", "min", &out->min,
                       "mean", &out->mean, "centred_min", &out->centred_min, "centred_mean",
                       &out->centred_mean)) {
        return wrong(reader, where, problem.text);
    }
    if (is_cosine(out->min) && is_cosine(out->mean) && is_cosine(out->centred_min) &&
        is_cosine(out->centred_mean)) {
        return STATUS_OK;
    }
    return wrong(reader, where, "a cosine lies between -1 and 1");
}

static enum status read_precision(const struct reader *reader, const char *text, const char *where,
                                  uint8_t *out) {
    enum model_precision precision;
    if (!model_precision_parse(&precision, text)) {
        return wrong(reader, where, "a precision is one of fp32, bf16, int8");
    }
    *out = (uint8_t)precision;
    return STATUS_OK;
}

static enum status read_layer(const struct reader *reader, json_t *from, const char *where,
                              uint8_t plan[PLAN_PRODUCTS], struct model_cosines *cosines) {
    const char *names[PLAN_PRODUCTS];
    json_t *residual;
    json_error_t problem;
    if (json_unpack_ex(from, &problem, JSON_STRICT, "{s:s, s:s, s:s, s:s, s:o}", "qkv",
                       &names[PLAN_QKV], "out", &names[PLAN_OUT], "fc", &names[PLAN_FC], "proj",
                       &names[PLAN_PROJ], "residual", &residual)) {
        return wrong(reader, where, problem.text);
    }
    enum status status = read_cosines(reader, residual, where, cosines);
    for (int i = 0; i < PLAN_PRODUCTS && !status; i++) {
        status = read_precision(reader, names[i], where, &plan[i]);
    }
    return status;
}

static enum status read_layers(const struct reader *reader, const json_t *from,
                               enum plan_tower which, struct profile *out) {
    size_t count = json_array_size(from);
    if (!json_is_array(from) || count == 0 || count > PLAN_LAYERS_MAX) {
        return wrong(reader, tower_names[which], "layers is not a list of 1 to 512 objects");
    }
    struct profile_tower *tower = &out->towers[which];
    tower->layers = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        char where[32];
        snprintf(where, sizeof(where), "%s layer %zu", tower_names[which], i + 1);
        enum status status = read_layer(reader, json_array_get(from, i), where,
                                        out->plan.layers[which][i], &tower->residual[i]);
        if (status) return status;
    }
    return STATUS_OK;
}

static enum status read_tower(const struct reader *reader, json_t *from, enum plan_tower which,
                              struct profile *out) {
    struct profile_tower *tower = &out->towers[which];
    const char *where = tower_names[which], *patch = NULL, *projection = NULL;
    json_t *total, *layers;
    json_int_t inputs;
    json_error_t problem;
    if (json_unpack_ex(from, &problem, JSON_STRICT, "{s:I, s:o, s?:s, s:o, s?:s}", "inputs",
                       &inputs, "cosine", &total, "patch", &patch, "layers", &layers, "projection",
                       &projection)) {
        return wrong(reader, where, problem.text);
    }
    if (inputs < 1 || inputs > UINT32_MAX) return wrong(reader, where, "inputs is out of range");
    if ((which == PLAN_VISION) != (patch != NULL)) {
        return wrong(reader, where, patch ? "patch is of the vision tower" : "patch is missing");
    }
    tower->inputs = (uint32_t)inputs;
    tower->projected = projection != NULL;
    enum status status = read_cosines(reader, total, where, &tower->total);
    if (!status && patch) status = read_precision(reader, patch, where, &out->plan.patch);
    if (!status && projection)
        status = read_precision(reader, projection, where, &out->plan.projection[which]);
    return status ? status : read_layers(reader, layers, which, out);
}

static bool is_made_of(const char *text, const char *characters, size_t size) {
    return strlen(text) == size && strspn(text, characters) == size;
}

static bool is_kernel(const char *text) {
    size_t size = strlen(text);
    return size && size < PROFILE_KERNEL_SIZE &&
           is_made_of(text, "abcdefghijklmnopqrstuvwxyz0123456789-", size);
}

static enum status read_profile(const struct reader *reader, json_t *root, struct profile *out) {
    json_t *towers[PLAN_TOWERS] = {NULL, NULL};
    const char *sha256, *kernel;
    json_int_t version;
    json_error_t problem;
    if (json_unpack_ex(root, &problem, JSON_STRICT, "{s:I, s:s, s:s, s?:o, s?:o}", "clipd_profile",
                       &version, "sha256", &sha256, "kernel", &kernel, tower_names[PLAN_VISION],
                       &towers[PLAN_VISION], tower_names[PLAN_TEXT], &towers[PLAN_TEXT])) {
        return wrong(reader, "profile", problem.text);
    }
    if (version != VERSION) return wrong(reader, "clipd_profile", "only version 1 is known");
    if (!is_made_of(sha256, "0123456789abcdef", SHA256_HEX_SIZE - 1))
        return wrong(reader, "sha256", "64 digits a-f, 0-9 are expected");
    if (!is_kernel(kernel)) return wrong(reader, "kernel", "no such kernel");
    memcpy(out->sha256, sha256, SHA256_HEX_SIZE);
    snprintf(out->kernel, sizeof(out->kernel), "%s", kernel);
    enum status status = STATUS_OK;
    for (int i = 0; i < PLAN_TOWERS && !status; i++) {
        if (towers[i]) status = read_tower(reader, towers[i], (enum plan_tower)i, out);
    }
    if (status || towers[PLAN_VISION] || towers[PLAN_TEXT]) return status;
    return wrong(reader, "profile", "vision and text are both missing");
}

enum status profile_parse(struct profile *out, struct bytes text, const char *name,
                          struct error *err) {
    const struct reader reader = {.name = name, .err = err};
    json_t *root;
    *out = (struct profile){.kernel = ""};
    plan_fill(&out->plan, MODEL_INT8);
    enum status status = json_parse(&root, text, name, err);
    if (status) return status;
    status = read_profile(&reader, root, out);
    json_decref(root);
    return status;
}

/* ---- writing ---- */

static enum status print_cosines(struct buffer *out, const struct model_cosines *cosines,
                                 struct error *err) {
    return buffer_printf(out, err,
                         "{\"min\": %.9f, \"mean\": %.9f, \"centred_min\": %.9f, "
                         "\"centred_mean\": %.9f}",
                         cosines->min, cosines->mean, cosines->centred_min, cosines->centred_mean);
}

static const char *precision_name(uint8_t precision) {
    return model_precision_name((enum model_precision)precision);
}

static enum status print_layer(struct buffer *out, const uint8_t plan[PLAN_PRODUCTS],
                               const struct model_cosines *residual, struct error *err) {
    enum status status =
        buffer_printf(out, err,
                      "      {\"qkv\": \"%s\", \"out\": \"%s\", \"fc\": \"%s\", \"proj\": \"%s\",\n"
                      "       \"residual\": ",
                      precision_name(plan[PLAN_QKV]), precision_name(plan[PLAN_OUT]),
                      precision_name(plan[PLAN_FC]), precision_name(plan[PLAN_PROJ]));
    if (!status) status = print_cosines(out, residual, err);
    return status ? status : buffer_printf(out, err, "}");
}

static enum status print_tower(struct buffer *out, const struct profile *profile,
                               enum plan_tower which, struct error *err) {
    const struct profile_tower *tower = &profile->towers[which];
    enum status status = buffer_printf(
        out, err, ",\n  \"%s\": {\n    \"inputs\": %u,\n    \"cosine\": ", tower_names[which],
        tower->inputs);
    if (!status) status = print_cosines(out, &tower->total, err);
    if (!status && which == PLAN_VISION)
        status = buffer_printf(out, err, ",\n    \"patch\": \"%s\"",
                               precision_name(profile->plan.patch));
    if (!status) status = buffer_printf(out, err, ",\n    \"layers\": [");
    for (uint32_t i = 0; i < tower->layers && !status; i++) {
        status = buffer_printf(out, err, i ? ",\n" : "\n");
        if (!status)
            status = print_layer(out, profile->plan.layers[which][i], &tower->residual[i], err);
    }
    if (!status) status = buffer_printf(out, err, "\n    ]");
    if (!status && tower->projected)
        status = buffer_printf(out, err, ",\n    \"projection\": \"%s\"",
                               precision_name(profile->plan.projection[which]));
    return status ? status : buffer_printf(out, err, "\n  }");
}

enum status profile_print(const struct profile *profile, struct buffer *out, struct error *err) {
    enum status status = buffer_printf(
        out, err, "{\n  \"clipd_profile\": %d,\n  \"sha256\": \"%s\",\n  \"kernel\": \"%s\"",
        VERSION, profile->sha256, profile->kernel);
    for (int i = 0; i < PLAN_TOWERS && !status; i++) {
        if (profile->towers[i].layers) status = print_tower(out, profile, (enum plan_tower)i, err);
    }
    return status ? status : buffer_printf(out, err, "\n}\n");
}

/* ---- using ---- */

enum status profile_check(const struct profile *profile, const struct model_info *info,
                          struct error *err) {
    if (strcmp(profile->sha256, info->sha256) != 0) {
        return error_set(err, STATUS_CONFLICT,
                         "the profile was made for weights with sha256 %.16s..., these have "
                         "%.16s...; make one with clipd quantize",
                         profile->sha256, info->sha256);
    }
    const struct model_tower *shapes[] = {&info->vision, &info->text};
    for (int i = 0; i < PLAN_TOWERS; i++) {
        const struct profile_tower *tower = &profile->towers[i];
        if (tower->layers == shapes[i]->layers &&
            (!tower->layers || tower->projected == shapes[i]->projected)) {
            continue;
        }
        return error_set(err, STATUS_CONFLICT, "the profile has %u %s layers%s, the model has %u%s",
                         tower->layers, tower_names[i], tower->projected ? " and a projection" : "",
                         shapes[i]->layers, shapes[i]->projected ? " and a projection" : "");
    }
    return STATUS_OK;
}

struct model_cosines profile_cosines(const struct profile *profile) {
    struct model_cosines worst = {1, 1, 1, 1};
    for (int i = 0; i < PLAN_TOWERS; i++) {
        if (profile->towers[i].layers) worst = cosines_worse(worst, profile->towers[i].total);
    }
    return worst;
}
