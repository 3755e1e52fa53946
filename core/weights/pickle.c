#include "core/weights/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/little_endian.h"

enum { PROTOCOL_MIN = 2, PROTOCOL_MAX = 5 };

/* A list of uint32_t that grows. */
struct numbers {
    uint32_t *list;
    size_t count, capacity;
};

/* The machine. */
struct machine {
    struct pickle *out;
    struct bytes in;
    size_t at, opcode_at;
    struct numbers stack; /* of values */
    struct numbers marks; /* of heights of the stack */
    struct numbers memo;  /* of values, PICKLE_NOTHING where there is none */
    size_t memo_used;
    struct error *err;
};

static enum status fail(const struct machine *m, const char *problem) {
    return error_set(m->err, STATUS_UNPROCESSABLE, "pickle, byte %zu: %s", m->opcode_at, problem);
}

/* Room for element `count`; false when there is no memory or it would be too many. */
static bool grow(void **list, size_t *capacity, size_t count, size_t element) {
    if (count < *capacity) return true;
    if (count >= PICKLE_VALUES_MAX) return false;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    while (wanted <= count) wanted *= 2;
    void *larger = realloc(*list, wanted * element);
    if (!larger) return false;
    *list = larger;
    *capacity = wanted;
    return true;
}

static bool add_number(struct numbers *numbers, uint32_t number) {
    void *list = numbers->list;
    bool room = grow(&list, &numbers->capacity, numbers->count, sizeof(*numbers->list));
    numbers->list = list;
    if (room) numbers->list[numbers->count++] = number;
    return room;
}

static enum status too_many(const struct machine *m) {
    return error_set(m->err, STATUS_TOO_LARGE,
                     "pickle, byte %zu: more than %d values, or no memory for them", m->opcode_at,
                     PICKLE_VALUES_MAX);
}

/* ---- reading ---- */

static bool take(struct machine *m, size_t size, struct bytes *out) {
    if (size > m->in.size - m->at) return false;
    *out = (struct bytes){.data = m->in.data + m->at, .size = size};
    m->at += size;
    return true;
}

/* A little-endian number of `size` bytes. */
static bool take_number(struct machine *m, size_t size, uint64_t *out) {
    struct bytes raw;
    if (!take(m, size, &raw)) return false;
    *out = little_endian(raw.data, size);
    return true;
}

static enum status cut(const struct machine *m) {
    return error_set(m->err, STATUS_UNPROCESSABLE,
                     "pickle, byte %zu: it ends in the middle, after %zu bytes", m->opcode_at,
                     m->in.size);
}

/* ---- the stack ---- */

/* Values above the last mark; those below it are out of reach. */
static size_t reachable(const struct machine *m) {
    size_t base = m->marks.count ? m->marks.list[m->marks.count - 1] : 0;
    return m->stack.count - base;
}

/* The value `depth` below the top, 0 is the top. */
static uint32_t peek(const struct machine *m, size_t depth) {
    return m->stack.list[m->stack.count - 1 - depth];
}

static enum status need(const struct machine *m, size_t count) {
    return reachable(m) >= count ? STATUS_OK : fail(m, "the stack has too few values");
}

static enum status push(struct machine *m, uint32_t value) {
    return add_number(&m->stack, value) ? STATUS_OK : too_many(m);
}

static enum status push_new(struct machine *m, const struct pickle_value *value) {
    struct pickle *out = m->out;
    void *list = out->values;
    bool room = grow(&list, &out->values_capacity, out->values_count, sizeof(*out->values));
    out->values = list;
    if (!room) return too_many(m);
    out->values[out->values_count] = *value;
    out->values[out->values_count].first = PICKLE_NOTHING;
    return push(m, (uint32_t)out->values_count++);
}

static enum status push_kind(struct machine *m, enum pickle_kind kind) {
    return push_new(m, &(struct pickle_value){.kind = kind});
}

static enum status push_integer(struct machine *m, enum pickle_kind kind, int64_t integer) {
    return push_new(m, &(struct pickle_value){.kind = kind, .integer = integer});
}

static enum status append(struct machine *m, uint32_t to, uint32_t item) {
    struct pickle *out = m->out;
    void *list = out->links;
    bool room = grow(&list, &out->links_capacity, out->links_count, sizeof(*out->links));
    out->links = list;
    if (!room) return too_many(m);
    uint32_t link = (uint32_t)out->links_count++;
    out->links[link] = (struct pickle_link){.value = item, .next = PICKLE_NOTHING};
    struct pickle_value *value = &out->values[to];
    if (value->first == PICKLE_NOTHING)
        value->first = link;
    else
        out->links[value->last].next = link;
    value->last = link;
    value->count++;
    return STATUS_OK;
}

/* Moves the last `count` values of the stack into `to`. */
static enum status append_last(struct machine *m, uint32_t to, size_t count) {
    enum status status = STATUS_OK;
    size_t begin = m->stack.count - count;
    for (size_t i = 0; i < count && !status; i++) status = append(m, to, m->stack.list[begin + i]);
    m->stack.count = begin;
    return status;
}

/* Ends the last mark; *count is how many values stand above it. */
static enum status pop_mark(struct machine *m, size_t *count) {
    if (!m->marks.count) return fail(m, "there is no mark");
    *count = reachable(m);
    m->marks.count--;
    return STATUS_OK;
}

/* ---- instructions ---- */

typedef enum status instruction_fn(struct machine *m, uint8_t opcode);

static enum status run_protocol(struct machine *m, uint8_t opcode) {
    (void)opcode;
    uint64_t version;
    if (!take_number(m, 1, &version)) return cut(m);
    if (version >= PROTOCOL_MIN && version <= PROTOCOL_MAX) return STATUS_OK;
    return error_set(m->err, STATUS_UNSUPPORTED, "pickle of protocol %d, %d to %d are supported",
                     (int)version, PROTOCOL_MIN, PROTOCOL_MAX);
}

/* Frames say how much to read ahead, which means nothing here. */
static enum status run_frame(struct machine *m, uint8_t opcode) {
    (void)opcode;
    uint64_t size;
    if (!take_number(m, 8, &size)) return cut(m);
    return size <= m->in.size - m->at ? STATUS_OK : cut(m);
}

static enum status run_constant(struct machine *m, uint8_t opcode) {
    if (opcode == 'N') return push_kind(m, PICKLE_NONE);
    return push_integer(m, PICKLE_BOOL, opcode == 0x88);
}

static enum status run_integer(struct machine *m, uint8_t opcode) {
    uint64_t raw;
    if (!take_number(m, opcode == 'J' ? 4 : opcode == 'M' ? 2 : 1, &raw)) return cut(m);
    return push_integer(m, PICKLE_INTEGER, opcode == 'J' ? (int32_t)raw : (int64_t)raw);
}

/* Little-endian two's complement of any length. */
static enum status run_long(struct machine *m, uint8_t opcode) {
    (void)opcode;
    uint64_t size;
    struct bytes raw;
    if (!take_number(m, 1, &size) || !take(m, (size_t)size, &raw)) return cut(m);
    if (size > 8) return push_new(m, &(struct pickle_value){.kind = PICKLE_LONG, .text = raw});
    uint64_t bits = size && raw.data[size - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)size; i-- > 0;) bits = bits << 8 | raw.data[i];
    return push_integer(m, PICKLE_INTEGER, (int64_t)bits);
}

static enum status run_float(struct machine *m, uint8_t opcode) {
    (void)opcode;
    struct bytes raw;
    uint64_t bits = 0;
    struct pickle_value value = {.kind = PICKLE_FLOAT};
    if (!take(m, 8, &raw)) return cut(m);
    for (size_t i = 0; i < 8; i++) bits = bits << 8 | raw.data[i]; /* big-endian, alone of all */
    memcpy(&value.number, &bits, sizeof(bits));
    return push_new(m, &value);
}

static enum status run_text(struct machine *m, uint8_t opcode) {
    bool is_short = opcode == 'U' || opcode == 'C' || opcode == 0x8c;
    uint64_t size;
    struct pickle_value value = {.kind = PICKLE_TEXT};
    if (!take_number(m, is_short ? 1 : opcode == 0x8d ? 8 : 4, &size)) return cut(m);
    if (size > m->in.size || !take(m, (size_t)size, &value.text)) return cut(m);
    return push_new(m, &value);
}

static enum status run_empty(struct machine *m, uint8_t opcode) {
    return push_kind(m, opcode == ')' ? PICKLE_TUPLE : opcode == '}' ? PICKLE_DICT : PICKLE_LIST);
}

/* A new container of the values that are on the stack already. */
static enum status run_collect(struct machine *m, uint8_t opcode) {
    size_t count = 0;
    enum status status = STATUS_OK;
    if (opcode >= 0x85 && opcode <= 0x87) {
        count = opcode - 0x84;
        status = need(m, count);
    } else {
        status = pop_mark(m, &count);
    }
    if (status) return status;
    enum pickle_kind kind = opcode == 'l' || opcode == 0x91 ? PICKLE_LIST
                            : opcode == 'd'                 ? PICKLE_DICT
                                                            : PICKLE_TUPLE;
    if (kind == PICKLE_DICT && count % 2) return fail(m, "a key without a value");
    status = push_kind(m, kind);
    if (status) return status;
    uint32_t container = m->stack.list[--m->stack.count];
    status = append_last(m, container, count);
    return status ? status : push(m, container);
}

static enum status run_append(struct machine *m, uint8_t opcode) {
    size_t count = opcode == 's' ? 2 : 1;
    bool pairs = opcode == 's' || opcode == 'u';
    enum status status = opcode == 'a' || opcode == 's' ? need(m, count) : pop_mark(m, &count);
    if (!status) status = need(m, count + 1);
    if (status) return status;
    if (pairs && count % 2) return fail(m, "a key without a value");
    uint32_t to = peek(m, count);
    enum pickle_kind kind = m->out->values[to].kind;
    if (kind != PICKLE_OBJECT && kind != (pairs ? PICKLE_DICT : PICKLE_LIST)) {
        return fail(m, "items for what is no container");
    }
    return append_last(m, to, count);
}

static enum status run_stack(struct machine *m, uint8_t opcode) {
    if (opcode == '(') {
        return add_number(&m->marks, (uint32_t)m->stack.count) ? STATUS_OK : too_many(m);
    }
    size_t count = 0;
    if (opcode == '1' || (opcode == '0' && m->marks.count && !reachable(m))) {
        enum status status = pop_mark(m, &count);
        m->stack.count -= count;
        return status;
    }
    enum status status = need(m, 1);
    if (status) return status;
    if (opcode == '2') return push(m, peek(m, 0));
    m->stack.count--;
    return STATUS_OK;
}

static enum status run_put(struct machine *m, uint8_t opcode) {
    uint64_t index = m->memo_used;
    if (opcode != 0x94 && !take_number(m, opcode == 'q' ? 1 : 4, &index)) return cut(m);
    enum status status = need(m, 1);
    if (status) return status;
    /* Whoever numbers his values, numbers them one after the other. */
    if (index > m->in.size || index >= PICKLE_VALUES_MAX) return fail(m, "a memo beyond reason");
    while (m->memo.count <= index) {
        if (!add_number(&m->memo, PICKLE_NOTHING)) return too_many(m);
    }
    if (m->memo.list[index] == PICKLE_NOTHING) m->memo_used++;
    m->memo.list[index] = peek(m, 0);
    return STATUS_OK;
}

static enum status run_get(struct machine *m, uint8_t opcode) {
    uint64_t index;
    if (!take_number(m, opcode == 'h' ? 1 : 4, &index)) return cut(m);
    if (index >= m->memo.count || m->memo.list[index] == PICKLE_NOTHING) {
        return fail(m, "a memo that was never set");
    }
    return push(m, m->memo.list[index]);
}

/* "module\nname\n". */
static enum status run_global(struct machine *m, uint8_t opcode) {
    (void)opcode;
    struct pickle_value value = {.kind = PICKLE_GLOBAL};
    struct bytes *const parts[] = {&value.module, &value.text};
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *begin = m->in.data + m->at;
        const uint8_t *end = memchr(begin, '\n', m->in.size - m->at);
        if (!end) return cut(m);
        *parts[i] = (struct bytes){.data = begin, .size = (size_t)(end - begin)};
        m->at += parts[i]->size + 1;
    }
    return push_new(m, &value);
}

static enum status run_stack_global(struct machine *m, uint8_t opcode) {
    (void)opcode;
    enum status status = need(m, 2);
    if (status) return status;
    const struct pickle_value *name = &m->out->values[peek(m, 0)],
                              *module = &m->out->values[peek(m, 1)];
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT) {
        return fail(m, "a global whose name is no text");
    }
    struct pickle_value value = {.kind = PICKLE_GLOBAL, .text = name->text, .module = module->text};
    m->stack.count -= 2;
    return push_new(m, &value);
}

/* What Python would call is written down and nothing else. */
static enum status run_call(struct machine *m, uint8_t opcode) {
    size_t count = opcode == 0x92 ? 3 : 2; /* NEWOBJ_EX has keywords, too */
    enum status status = need(m, count);
    if (status) return status;
    struct pickle_value value = {.kind = PICKLE_OBJECT,
                                 .callee = peek(m, count - 1),
                                 .arguments = peek(m, count - 2),
                                 .state = PICKLE_NOTHING};
    m->stack.count -= count;
    return push_new(m, &value);
}

static enum status run_build(struct machine *m, uint8_t opcode) {
    (void)opcode;
    enum status status = need(m, 2);
    if (status) return status;
    struct pickle_value *object = &m->out->values[peek(m, 1)];
    if (object->kind == PICKLE_OBJECT) object->state = peek(m, 0);
    m->stack.count--;
    return STATUS_OK;
}

static enum status run_persistent(struct machine *m, uint8_t opcode) {
    (void)opcode;
    enum status status = need(m, 1);
    if (status) return status;
    struct pickle_value value = {.kind = PICKLE_PERSISTENT, .callee = peek(m, 0)};
    m->stack.count--;
    return push_new(m, &value);
}

/* What is not here has no business in a weight file. */
static instruction_fn *const instructions[256] = {
    [0x80] = run_protocol,  [0x95] = run_frame,   ['N'] = run_constant, [0x88] = run_constant,
    [0x89] = run_constant,  ['J'] = run_integer,  ['K'] = run_integer,  ['M'] = run_integer,
    [0x8a] = run_long,      ['G'] = run_float,    ['X'] = run_text,     [0x8c] = run_text,
    [0x8d] = run_text,      ['T'] = run_text,     ['U'] = run_text,     ['B'] = run_text,
    ['C'] = run_text,       [')'] = run_empty,    ['}'] = run_empty,    [']'] = run_empty,
    [0x8f] = run_empty,     [0x85] = run_collect, [0x86] = run_collect, [0x87] = run_collect,
    ['t'] = run_collect,    ['l'] = run_collect,  ['d'] = run_collect,  [0x91] = run_collect,
    ['a'] = run_append,     ['e'] = run_append,   [0x90] = run_append,  ['s'] = run_append,
    ['u'] = run_append,     ['('] = run_stack,    ['0'] = run_stack,    ['1'] = run_stack,
    ['2'] = run_stack,      ['q'] = run_put,      ['r'] = run_put,      [0x94] = run_put,
    ['h'] = run_get,        ['j'] = run_get,      ['c'] = run_global,   [0x93] = run_stack_global,
    ['R'] = run_call,       [0x81] = run_call,    [0x92] = run_call,    ['b'] = run_build,
    ['Q'] = run_persistent,
};

static enum status run(struct machine *m) {
    for (;;) {
        m->opcode_at = m->at;
        if (m->at == m->in.size) return cut(m);
        uint8_t opcode = m->in.data[m->at++];
        if (opcode == '.') break;
        if (!instructions[opcode]) {
            return error_set(m->err, STATUS_UNSUPPORTED,
                             "pickle, byte %zu: instruction 0x%02x is none that weights need",
                             m->opcode_at, opcode);
        }
        enum status status = instructions[opcode](m, opcode);
        if (status) return status;
    }
    if (m->marks.count || m->stack.count != 1) return fail(m, "it does not end with one value");
    m->out->root = m->stack.list[0];
    return STATUS_OK;
}

enum status pickle_parse(struct pickle *out, size_t *used, struct bytes file, struct error *err) {
    *out = (struct pickle){0};
    struct machine machine = {.out = out, .in = file, .err = err};
    enum status status = run(&machine);
    *used = machine.at;
    free(machine.stack.list);
    free(machine.marks.list);
    free(machine.memo.list);
    if (status) pickle_free(out);
    return status;
}

void pickle_free(struct pickle *pickle) {
    free(pickle->values);
    free(pickle->links);
    *pickle = (struct pickle){0};
}

/* ---- looking at values ---- */

const struct pickle_value *pickle_get(const struct pickle *pickle, uint32_t value) {
    return value == PICKLE_NOTHING ? NULL : &pickle->values[value];
}

uint32_t pickle_item(const struct pickle *pickle, uint32_t value, uint32_t index) {
    const struct pickle_value *list = pickle_get(pickle, value);
    if (!list || (list->kind != PICKLE_TUPLE && list->kind != PICKLE_LIST)) return PICKLE_NOTHING;
    if (index >= list->count) return PICKLE_NOTHING;
    uint32_t link = list->first;
    while (index--) link = pickle->links[link].next;
    return pickle->links[link].value;
}

static bool equals(struct bytes bytes, const char *text) {
    return bytes.size == strlen(text) && !memcmp(bytes.data, text, bytes.size);
}

bool pickle_is_global(const struct pickle *pickle, uint32_t value, const char *module,
                      const char *name) {
    const struct pickle_value *global = pickle_get(pickle, value);
    return global && global->kind == PICKLE_GLOBAL && equals(global->module, module) &&
           equals(global->text, name);
}

bool pickle_is_text(const struct pickle *pickle, uint32_t value, const char *text) {
    const struct pickle_value *found = pickle_get(pickle, value);
    return found && found->kind == PICKLE_TEXT && equals(found->text, text);
}

bool pickle_read_size(const struct pickle *pickle, uint32_t value, size_t *out) {
    const struct pickle_value *found = pickle_get(pickle, value);
    if (!found || found->kind != PICKLE_INTEGER || found->integer < 0) return false;
    *out = (size_t)found->integer;
    return true;
}
