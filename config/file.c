/* libcyaml wants a schema of its own: it is built from ours, with every value a text,
 * so that ranges, units and their messages live in one place (value.c) for the file,
 * the environment and flags alike. What libcyaml finds wrong comes through its log
 * callback, as an error line and a backtrace of fields; the two are put together to
 * the path of a key, and lines.c finds its line. */
#include "config/file.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/lines.h"
#include "core/base/file.h"

enum { FILE_SIZE_MAX = 1 << 20, SECTIONS_MAX = 8, SECTION_SIZE = 16, PATH_SIZE = 256 };

/* The schema for libcyaml. It points into itself, so it stays where it was built. */
struct yaml_schema {
    char section_names[SECTIONS_MAX][SECTION_SIZE];
    cyaml_schema_field_t sections[SECTIONS_MAX + 2];               /* and models, and the end */
    cyaml_schema_field_t keys[SCHEMA_KEYS_MAX + SECTIONS_MAX + 1]; /* each section has an end */
    cyaml_schema_field_t model_keys[SCHEMA_MODEL_KEYS_MAX + 1];
    cyaml_schema_value_t alias, model, root;
};

/* What libcyaml said. */
struct yaml_trouble {
    char first[160];      /* its first line: what is wrong */
    char path[PATH_SIZE]; /* from the backtrace: where */
};

struct config_file {
    char *path;
    struct buffer text;
    struct yaml_schema schema;
    struct yaml_trouble trouble;
    struct config_file_values *values; /* NULL for an empty file */
};

static const struct config_file_values no_values;

static void note_trouble(cyaml_log_t level, void *context, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* A backtrace begins with the innermost field. */
static void note_trouble(cyaml_log_t level, void *context, const char *format, va_list args) {
    struct yaml_trouble *trouble = context;
    if (level != CYAML_LOG_ERROR) return;
    char line[PATH_SIZE], outer[PATH_SIZE];
    vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\n")] = '\0';
    unsigned entry;
    char field[SCHEMA_NAME_SIZE];
    if (sscanf(line, "  in mapping field '%63[^']'", field) == 1) {
        const char *dot = trouble->path[0] && trouble->path[0] != '[' ? "." : "";
        snprintf(outer, sizeof(outer), "%s%s%.150s", field, dot, trouble->path);
    } else if (sscanf(line, "  in sequence entry '%u'", &entry) == 1) {
        const char *dot = trouble->path[0] ? "." : "";
        snprintf(outer, sizeof(outer), "[%u]%s%.150s", entry ? entry - 1 : 0, dot, trouble->path);
    } else {
        if (!trouble->first[0] && strcmp(line, "Load: Backtrace:") != 0)
            snprintf(trouble->first, sizeof(trouble->first), "%.159s", line);
        return;
    }
    snprintf(trouble->path, sizeof(trouble->path), "%s", outer);
}

static cyaml_config_t reader(struct yaml_trouble *trouble) {
    return (cyaml_config_t){
        .log_fn = note_trouble,
        .log_ctx = trouble,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

static cyaml_schema_field_t text_field(const char *key, size_t offset) {
    return (cyaml_schema_field_t){
        .key = key,
        .data_offset = (uint32_t)offset,
        .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char, 0,
                                     CYAML_UNLIMITED)},
    };
}

/* All sections share one struct of values: a section is a mapping at offset 0 of it,
 * whose keys have offsets of their own; or, where the text has a value instead, the key that
 * may stand alone. */
static void build_sections(struct yaml_schema *schema, struct bytes text) {
    size_t sections = 0, used = 0;
    for (size_t i = 0; i < schema_keys_count; i++) {
        const char *name = schema_keys[i].name;
        const char *key = strchr(name, '.') + 1;
        size_t size = (size_t)(key - name);
        size_t offset = offsetof(struct config_file_values, values) + i * sizeof(char *);
        char section[SECTION_SIZE];
        snprintf(section, sizeof(section), "%.*s", (int)size - 1, name);
        if (!sections || strcmp(schema->section_names[sections - 1], section) != 0) {
            if (sections) schema->keys[used++] = (cyaml_schema_field_t)CYAML_FIELD_END;
            memcpy(schema->section_names[sections], section, sizeof(section));
            schema->sections[sections] = (cyaml_schema_field_t){
                .key = schema->section_names[sections],
                .value = {CYAML_VALUE_MAPPING(CYAML_FLAG_OPTIONAL, struct config_file_values,
                                              &schema->keys[used])},
            };
            if (schema_keys[i].stands_alone && lines_have_value(text, section))
                schema->sections[sections] = text_field(schema->section_names[sections], offset);
            sections++;
        }
        schema->keys[used++] = text_field(key, offset);
    }
    schema->keys[used] = (cyaml_schema_field_t)CYAML_FIELD_END;
    schema->sections[sections] = (cyaml_schema_field_t)CYAML_FIELD_SEQUENCE(
        "models", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_file_values, models,
        &schema->model, 0, CONFIG_MODELS_MAX);
    schema->sections[sections + 1] = (cyaml_schema_field_t)CYAML_FIELD_END;
}

static void build_schema(struct yaml_schema *schema, struct bytes text) {
    build_sections(schema, text);
    for (size_t i = 0; i < schema_model_keys_count; i++) {
        const char *name = schema_model_keys[i].name;
        if (schema_model_keys[i].kind == SCHEMA_LIST)
            schema->model_keys[i] = (cyaml_schema_field_t)CYAML_FIELD_SEQUENCE(
                name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_file_model, aliases,
                &schema->alias, 0, CONFIG_ALIASES_MAX);
        else
            schema->model_keys[i] =
                text_field(name, offsetof(struct config_file_model, values) + i * sizeof(char *));
    }
    schema->model_keys[schema_model_keys_count] = (cyaml_schema_field_t)CYAML_FIELD_END;
    schema->alias = text_field("", 0).value;
    schema->model = (cyaml_schema_value_t){
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_file_model, schema->model_keys)};
    schema->root = (cyaml_schema_value_t){
        CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_file_values, schema->sections)};
}

/* "listen, connections_max, ...": the keys of the mapping that `path` leads to. */
static void list_keys(char *out, size_t size, const struct yaml_schema *schema, const char *path) {
    const cyaml_schema_field_t *field = schema->sections;
    if (!strncmp(path, "models[", 7)) {
        field = schema->model_keys;
    } else if (*path) {
        while (field->key && strcmp(field->key, path) != 0) field++;
        if (field->key) field = field->value.mapping.fields;
    }
    size_t used = 0;
    out[0] = '\0';
    for (; field->key && used < size; field++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", field->key);
}

static enum status report_line(const struct config_file *file, const char *path, size_t occurrence,
                               const char *message, struct error *err) {
    size_t line = lines_find(buffer_view(&file->text), path, occurrence);
    if (!line) return error_set(err, STATUS_INVALID, "%.100s: %s", file->path, message);
    char where[32];
    snprintf(where, sizeof(where), "line %zu", line);
    return error_set_at(err, STATUS_INVALID, where, "%.100s %s: %s", file->path, where, message);
}

/* libcyaml's words as ours. */
static enum status report_trouble(const struct config_file *file, cyaml_err_t status,
                                  struct error *err) {
    const struct yaml_trouble *trouble = &file->trouble;
    const char *path = trouble->path;
    char key[SCHEMA_NAME_SIZE], found[24], message[PATH_SIZE + 120], keys[PATH_SIZE];
    if (sscanf(trouble->first, "Load: Unexpected key: %63[^\n]", key) == 1) {
        char full[PATH_SIZE + SCHEMA_NAME_SIZE];
        snprintf(full, sizeof(full), "%s%s%s", path, *path ? "." : "", key);
        list_keys(keys, sizeof(keys), &file->schema, path);
        snprintf(message, sizeof(message), "unknown key '%s', expected one of %s", key, keys);
        return report_line(file, full, 0, message, err);
    }
    if (sscanf(trouble->first, "Load: Mapping field already seen: %63s", key) == 1) {
        snprintf(message, sizeof(message), "'%s' is given twice", key);
        return report_line(file, path, 1, message, err);
    }
    if (sscanf(trouble->first, "Load: Expecting %63[^,], got event: %23s", key, found) == 2) {
        const char *expected = !strcmp(key, "MAPPING")    ? "keys with values"
                               : !strcmp(key, "SEQUENCE") ? "a list"
                                                          : "a single value";
        const char *got = !strcmp(found, "MAPPING_START")    ? "keys with values"
                          : !strcmp(found, "SEQUENCE_START") ? "a list"
                                                             : "a single value";
        if (!*path)
            return error_set(err, STATUS_INVALID, "%.100s: found %s, expected %s", file->path, got,
                             expected);
        snprintf(message, sizeof(message), "%s: found %s, expected %s", path, got, expected);
        return report_line(file, path, 0, message, err);
    }
    unsigned max;
    if (sscanf(trouble->first, "Load: Excessive entries (%u max)", &max) == 1) {
        char list[PATH_SIZE];
        const char *entry = strrchr(path, '[');
        snprintf(list, sizeof(list), "%.*s", (int)(entry ? entry - path : 0), path);
        snprintf(message, sizeof(message), "%s: has more than %u entries", list, max);
        return report_line(file, list, 0, message, err);
    }
    /* A key that is a list or a mapping surprises libcyaml. */
    if (status == CYAML_ERR_INTERNAL_ERROR)
        return error_set(err, STATUS_INVALID, "%.100s: found a key that is no plain text",
                         file->path);
    return report_line(file, path, 0, cyaml_strerror(status), err);
}

static enum status read_values(struct config_file *file, struct error *err) {
    struct error syntax = ERROR_NONE;
    struct bytes text = buffer_view(&file->text);
    if (lines_check(text, &syntax) != STATUS_OK)
        return error_set_at(err, syntax.status, syntax.where, "%.100s %s: %.150s", file->path,
                            syntax.where, syntax.message);
    build_schema(&file->schema, text);
    cyaml_config_t config = reader(&file->trouble);
    cyaml_data_t *values = NULL;
    cyaml_err_t status =
        cyaml_load_data(text.data, text.size, &config, &file->schema.root, &values, NULL);
    if (status != CYAML_OK) return report_trouble(file, status, err);
    file->values = values;
    return STATUS_OK;
}

enum status config_file_open(struct config_file **out, const char *path, struct error *err) {
    struct config_file *file = calloc(1, sizeof(*file));
    if (!file || !(file->path = strdup(path))) {
        free(file);
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    buffer_init(&file->text, FILE_SIZE_MAX);
    enum status status = file_read(&file->text, path, err);
    /* libyaml asserts that there is data. */
    if (status == STATUS_OK && !file->text.size) status = buffer_append(&file->text, "\n", 1, err);
    if (status == STATUS_OK) status = read_values(file, err);
    if (status == STATUS_OK)
        *out = file;
    else
        config_file_close(file);
    return status;
}

void config_file_close(struct config_file *file) {
    if (!file) return;
    cyaml_config_t config = reader(&file->trouble);
    if (file->values) cyaml_free(&config, &file->schema.root, file->values, 0);
    buffer_free(&file->text);
    free(file->path);
    free(file);
}

const struct config_file_values *config_file_values(const struct config_file *file) {
    return file->values ? file->values : &no_values;
}

enum status config_file_report(const struct config_file *file, const char *key, const char *message,
                               struct error *err) {
    char text[320];
    snprintf(text, sizeof(text), "%s: %s", key, message);
    return report_line(file, key, 0, text, err);
}
