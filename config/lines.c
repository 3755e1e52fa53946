/* libyaml is what libcyaml itself reads with, so both see the same file. Only the
 * path of keys and entries is kept, not the values. */
#include "config/lines.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 16, PATH_SIZE = 256 };

static enum status report(struct error *err, size_t line, const char *message) {
    char where[32];
    snprintf(where, sizeof(where), "line %zu", line + 1);
    return error_set_at(err, STATUS_INVALID, where, "%s", message);
}

static enum status check_event(const yaml_event_t *event, size_t *documents, struct error *err) {
    if (event->type == YAML_DOCUMENT_START_EVENT && ++*documents > 1)
        return report(err, event->start_mark.line, "found a second document, expected one");
    if (event->type == YAML_SCALAR_EVENT &&
        strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return report(err, event->start_mark.line, "found a NUL character, expected text");
    return STATUS_OK;
}

enum status lines_check(struct bytes yaml, struct error *err) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    yaml_parser_set_input_string(&parser, yaml.data, yaml.size);
    enum status status = STATUS_OK;
    size_t documents = 0;
    for (bool end = false; !end && status == STATUS_OK;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            char message[160], context[80] = "";
            if (parser.context)
                snprintf(context, sizeof(context), " %s from line %zu", parser.context,
                         parser.context_mark.line + 1);
            snprintf(message, sizeof(message), "not YAML: %s%s",
                     parser.problem ? parser.problem : "unreadable", context);
            status = report(err, parser.problem_mark.line, message);
            break;
        }
        status = check_event(&event, &documents, err);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* One mapping or sequence that the walk is in. */
struct level {
    bool is_sequence;
    bool key_next; /* of a mapping: the next node is a key */
    size_t index;  /* of a sequence: of the next entry */
    size_t path_size;
};

struct walk {
    struct level levels[DEPTH_MAX];
    size_t depth;
    char path[PATH_SIZE]; /* of the last key or entry */
};

/* Leaves the path of the new key or entry in walk->path, and returns whether the node
 * begins one. */
static bool enter_node(struct walk *walk, const yaml_event_t *event) {
    if (walk->depth == 0) return false;
    struct level *level = &walk->levels[walk->depth - 1];
    char *end = walk->path + level->path_size;
    size_t room = sizeof(walk->path) - level->path_size;
    if (level->is_sequence) {
        snprintf(end, room, "[%zu]", level->index++);
        return true;
    }
    level->key_next = !level->key_next;
    if (level->key_next || event->type != YAML_SCALAR_EVENT) return false;
    snprintf(end, room, "%s%s", level->path_size ? "." : "",
             (const char *)event->data.scalar.value);
    return true;
}

/* False when the file is nested deeper than any configuration. */
static bool push_level(struct walk *walk, bool is_sequence) {
    if (walk->depth == DEPTH_MAX) return false;
    walk->levels[walk->depth] = (struct level){
        .is_sequence = is_sequence,
        .key_next = true,
        .path_size = walk->depth ? strlen(walk->path) : 0,
    };
    walk->depth++;
    return true;
}

/* Takes the walk one event further; true when that event is a key or entry whose path
 * is wanted. */
static bool step(struct walk *walk, const yaml_event_t *event, const char *wanted, bool *give_up) {
    bool found = false;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
    case YAML_ALIAS_EVENT: return enter_node(walk, event) && !strcmp(walk->path, wanted);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        found = enter_node(walk, event) && !strcmp(walk->path, wanted);
        *give_up = !push_level(walk, event->type == YAML_SEQUENCE_START_EVENT);
        return found;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT: walk->depth--; return false;
    case YAML_STREAM_END_EVENT: *give_up = true; return false;
    default: return false;
    }
}

/* As lines_find(); *has_value is what lines_have_value() asks of that key. */
static size_t find(struct bytes yaml, const char *path, size_t occurrence, bool *has_value) {
    yaml_parser_t parser;
    *has_value = false;
    if (!yaml_parser_initialize(&parser)) return 0;
    yaml_parser_set_input_string(&parser, yaml.data, yaml.size);
    struct walk walk = {.depth = 0};
    size_t line = 0;
    bool give_up = false;
    yaml_event_t event;
    while (!line && !give_up && yaml_parser_parse(&parser, &event)) {
        if (step(&walk, &event, path, &give_up) && occurrence-- == 0)
            line = event.start_mark.line + 1;
        yaml_event_delete(&event);
    }
    if (line && yaml_parser_parse(&parser, &event)) {
        *has_value = event.type == YAML_SCALAR_EVENT && event.data.scalar.length;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return line;
}

size_t lines_find(struct bytes yaml, const char *path, size_t occurrence) {
    bool has_value;
    return find(yaml, path, occurrence, &has_value);
}

bool lines_have_value(struct bytes yaml, const char *path) {
    bool has_value;
    return find(yaml, path, 0, &has_value) && has_value;
}
