/* Each instruction on its own: what it makes, and what it refuses. */
#include "core/weights/pickle.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

/* A pickle as a C string with its length. */
struct text {
    const char *data;
    size_t size;
};
#define TEXT(literal)                                                                              \
    { literal, sizeof(literal) - 1 }

/* An exact copy, so that a sanitizer sees every byte read behind the end. */
static enum status parse(struct pickle *out, uint8_t **copy, struct text text, struct error *err) {
    size_t used;
    *copy = malloc(text.size + 1);
    ck_assert_ptr_nonnull(*copy);
    memcpy(*copy, text.data, text.size);
    enum status status = pickle_parse(out, &used, (struct bytes){*copy, text.size}, err);
    if (!status) ck_assert_uint_eq(used, text.size);
    return status;
}

/* Values as text, in the manner of Python: [1, 'a', {'k': None}], call(x, (1,)). */
static void print(struct buffer *out, const struct pickle *pickle, uint32_t index) {
    static const char *const open[] = {
        [PICKLE_TUPLE] = "(", [PICKLE_LIST] = "[", [PICKLE_DICT] = "{"};
    static const char *const shut[] = {
        [PICKLE_TUPLE] = ")", [PICKLE_LIST] = "]", [PICKLE_DICT] = "}"};
    const struct pickle_value *value = pickle_get(pickle, index);
    if (!value) {
        buffer_printf(out, NULL, "-");
        return;
    }
    switch (value->kind) {
    case PICKLE_NONE: buffer_printf(out, NULL, "None"); return;
    case PICKLE_BOOL: buffer_printf(out, NULL, value->integer ? "True" : "False"); return;
    case PICKLE_INTEGER: buffer_printf(out, NULL, "%lld", (long long)value->integer); return;
    case PICKLE_FLOAT: buffer_printf(out, NULL, "%g", value->number); return;
    case PICKLE_LONG: buffer_printf(out, NULL, "long%zu", value->text.size); return;
    case PICKLE_TEXT:
        buffer_printf(out, NULL, "'%.*s'", (int)value->text.size, (const char *)value->text.data);
        return;
    case PICKLE_GLOBAL:
        buffer_printf(out, NULL, "%.*s.%.*s", (int)value->module.size,
                      (const char *)value->module.data, (int)value->text.size,
                      (const char *)value->text.data);
        return;
    case PICKLE_PERSISTENT:
        buffer_printf(out, NULL, "@");
        print(out, pickle, value->callee);
        return;
    case PICKLE_OBJECT:
        buffer_printf(out, NULL, "call(");
        print(out, pickle, value->callee);
        print(out, pickle, value->arguments);
        print(out, pickle, value->state);
        for (uint32_t i = value->first; i != PICKLE_NOTHING; i = pickle->links[i].next) {
            buffer_printf(out, NULL, ";");
            print(out, pickle, pickle->links[i].value);
        }
        buffer_printf(out, NULL, ")");
        return;
    default: break;
    }
    buffer_printf(out, NULL, "%s", open[value->kind]);
    for (uint32_t i = value->first; i != PICKLE_NOTHING; i = pickle->links[i].next) {
        print(out, pickle, pickle->links[i].value);
        buffer_printf(out, NULL, ",");
    }
    buffer_printf(out, NULL, "%s", shut[value->kind]);
}

START_TEST(accepted) {
    static const struct {
        struct text pickle;
        const char *want;
    } rows[] = {
        {TEXT("N."), "None"},
        {TEXT("\x80\x02\x88."), "True"},
        {TEXT("\x80\x05\x95\x02\0\0\0\0\0\0\0\x89."), "False"},
        {TEXT("K\xff."), "255"},
        {TEXT("M\xff\xff."), "65535"},
        {TEXT("J\xff\xff\xff\xff."), "-1"},
        {TEXT("\x8a\0."), "0"},
        {TEXT("\x8a\1\xff."), "-1"},
        {TEXT("\x8a\2\xff\0."), "255"},
        {TEXT("\x8a\x8\0\0\0\0\0\0\0\x80."), "-9223372036854775808"},
        {TEXT("\x8a\x9\0\0\0\0\0\0\0\0\0."), "long9"},
        {TEXT("G?\xf8\0\0\0\0\0\0."), "1.5"},
        {TEXT("X\2\0\0\0ab."), "'ab'"},
        {TEXT("\x8c\2ab."), "'ab'"},
        {TEXT("\x8d\2\0\0\0\0\0\0\0ab."), "'ab'"},
        {TEXT("U\2ab."), "'ab'"},
        {TEXT("T\2\0\0\0ab."), "'ab'"},
        {TEXT("C\2ab."), "'ab'"},
        {TEXT("B\2\0\0\0ab."), "'ab'"},
        {TEXT(")."), "()"},
        {TEXT("]."), "[]"},
        {TEXT("\x8f."), "[]"},
        {TEXT("}."), "{}"},
        {TEXT("K\1\x85."), "(1,)"},
        {TEXT("K\1K\2\x86."), "(1,2,)"},
        {TEXT("K\1K\2K\3\x87."), "(1,2,3,)"},
        {TEXT("(K\1K\2t."), "(1,2,)"},
        {TEXT("(l."), "[]"},
        {TEXT("(K\1\x91."), "[1,]"},
        {TEXT("(K\1K\2d."), "{1,2,}"},
        {TEXT("]K\1a."), "[1,]"},
        {TEXT("](K\1K\2e(K\3e."), "[1,2,3,]"},
        {TEXT("\x8f(K\1\x90."), "[1,]"},
        {TEXT("}K\1K\2s."), "{1,2,}"},
        {TEXT("}(K\1K\2K\3K\4u."), "{1,2,3,4,}"},
        {TEXT("NK\1"
              "0."),
         "None"},
        {TEXT("N(K\1K\2"
              "1."),
         "None"},
        {TEXT("N(0."), "None"},
        {TEXT("K\1"
              "2\x86."),
         "(1,1,)"},
        {TEXT("K\7q\0"
              "0h\0."),
         "7"},
        {TEXT("K\7r\3\0\0\0"
              "0j\3\0\0\0."),
         "7"},
        {TEXT("K\7\x94K\6\x94"
              "00h\0h\1\x86."),
         "(7,6,)"},
        {TEXT("cos\nsystem\n."), "os.system"},
        {TEXT("X\2\0\0\0osX\6\0\0\0system\x93."), "os.system"},
        {TEXT("cos\nsystem\nX\2\0\0\0ls\x85R."), "call(os.system('ls',)-)"},
        {TEXT("ca\nB\n)\x81}X\1\0\0\0xNsb."), "call(a.B(){'x',None,})"},
        {TEXT("ca\nB\n)}\x92."), "call(a.B()-)"},
        {TEXT("ca\nB\n)R(K\1K\2uK\3a."), "call(a.B()-;1;2;3)"},
        {TEXT("NNb."), "None"},
        {TEXT("K\1\x85Q."), "@(1,)"},
    };
    struct pickle pickle;
    uint8_t *copy;
    struct error err = ERROR_NONE;
    struct buffer text;
    buffer_init(&text, 1000);
    ck_assert_msg(!parse(&pickle, &copy, rows[_i].pickle, &err), "%s: %s", rows[_i].want,
                  err.message);
    print(&text, &pickle, pickle.root);
    ck_assert_uint_eq(text.size, strlen(rows[_i].want));
    ck_assert_msg(!memcmp(text.data, rows[_i].want, text.size), "%.*s is not %s", (int)text.size,
                  (char *)text.data, rows[_i].want);
    buffer_free(&text);
    pickle_free(&pickle);
    free(copy);
}
END_TEST

START_TEST(refused) {
    static const struct {
        struct text pickle;
        const char *message;
    } rows[] = {
        {TEXT(""), "pickle, byte 0: it ends in the middle"},
        {TEXT("N"), "pickle, byte 1: it ends in the middle"},
        {TEXT("."), "pickle, byte 0: it does not end with one value"},
        {TEXT("NN."), "pickle, byte 2: it does not end with one value"},
        {TEXT("N(."), "pickle, byte 2: it does not end with one value"},
        {TEXT("\x80\x01N."), "pickle of protocol 1, 2 to 5 are supported"},
        {TEXT("\x80\x06N."), "pickle of protocol 6, 2 to 5 are supported"},
        {TEXT("\x80"), "pickle, byte 0: it ends in the middle"},
        {TEXT("\x95\xff\xff\xff\xff\xff\xff\xff\xffN."), "pickle, byte 0: it ends in the middle"},
        {TEXT("J\0\0"), "pickle, byte 0: it ends in the middle"},
        {TEXT("G\0\0\0\0\0\0\0"), "pickle, byte 0: it ends in the middle"},
        {TEXT("X\xff\xff\xff\xff"
              "ab."),
         "pickle, byte 0: it ends in the middle"},
        {TEXT("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
              "ab."),
         "pickle, byte 0: it ends in the"},
        {TEXT("T\xff\xff\xff\xff"
              "ab."),
         "pickle, byte 0: it ends in the middle"},
        {TEXT("\x8a\xff"
              "ab."),
         "pickle, byte 0: it ends in the middle"},
        {TEXT("cos\nsystem."), "pickle, byte 0: it ends in the middle"},
        {TEXT("\x85."), "pickle, byte 0: the stack has too few values"},
        {TEXT("K\1(\x85."), "pickle, byte 3: the stack has too few values"},
        {TEXT("t."), "pickle, byte 0: there is no mark"},
        {TEXT("K\1t."), "pickle, byte 2: there is no mark"},
        {TEXT("0."), "pickle, byte 0: the stack has too few values"},
        {TEXT("1."), "pickle, byte 0: there is no mark"},
        {TEXT("2."), "pickle, byte 0: the stack has too few values"},
        {TEXT("(K\1d."), "pickle, byte 3: a key without a value"},
        {TEXT("}(K\1u."), "pickle, byte 4: a key without a value"},
        {TEXT("NK\1a."), "pickle, byte 3: items for what is no container"},
        {TEXT("]K\1K\2s."), "pickle, byte 5: items for what is no container"},
        {TEXT("}(K\1e."), "pickle, byte 4: items for what is no container"},
        {TEXT("(K\1e."), "pickle, byte 3: the stack has too few values"},
        {TEXT("K\1a."), "pickle, byte 2: the stack has too few values"},
        {TEXT("h\0."), "pickle, byte 0: a memo that was never set"},
        {TEXT("Nq\1h\0."), "pickle, byte 3: a memo that was never set"},
        {TEXT("j\xff\xff\xff\xff."), "pickle, byte 0: a memo that was never set"},
        {TEXT("Nr\xff\xff\xff\xff."), "pickle, byte 1: a memo beyond reason"},
        {TEXT("Nr\xff\0\0\0."), "pickle, byte 1: a memo beyond reason"},
        {TEXT("q\0."), "pickle, byte 0: the stack has too few values"},
        {TEXT("K\1K\2\x93."), "pickle, byte 4: a global whose name is no text"},
        {TEXT("NR."), "pickle, byte 1: the stack has too few values"},
        {TEXT("Nb."), "pickle, byte 1: the stack has too few values"},
        {TEXT("Q."), "pickle, byte 0: the stack has too few values"},
        /* What Python knows and weights do not need. */
        {TEXT("(S'ls'\nios\nsystem\n."), "pickle, byte 1: instruction 0x53 is none that weights"},
        {TEXT("(ios\nsystem\n."), "pickle, byte 1: instruction 0x69 is none that weights need"},
        {TEXT("(cos\nsystem\no."), "pickle, byte 12: instruction 0x6f is none that weights need"},
        {TEXT("\x82\1."), "pickle, byte 0: instruction 0x82 is none that weights need"},
        {TEXT("P1\n."), "pickle, byte 0: instruction 0x50 is none that weights need"},
        {TEXT("I1\n."), "pickle, byte 0: instruction 0x49 is none that weights need"},
        {TEXT("\x97."), "pickle, byte 0: instruction 0x97 is none that weights need"},
        {TEXT("\xff."), "pickle, byte 0: instruction 0xff is none that weights need"},
    };
    struct pickle pickle;
    uint8_t *copy;
    struct error err = ERROR_NONE;
    ck_assert_msg(parse(&pickle, &copy, rows[_i].pickle, &err), "%s", rows[_i].message);
    ck_assert_msg(!strncmp(err.message, rows[_i].message, strlen(rows[_i].message)), "%s, not %s",
                  err.message, rows[_i].message);
    ck_assert_ptr_null(pickle.values);
    free(copy);
}
END_TEST

/* `count` times the same instruction, then the end. */
static enum status repeat(char opcode, size_t count, struct error *err) {
    char *text = malloc(count + 1);
    struct pickle pickle;
    size_t used;
    memset(text, opcode, count);
    text[count] = '.';
    enum status status =
        pickle_parse(&pickle, &used, (struct bytes){(uint8_t *)text, count + 1}, err);
    pickle_free(&pickle);
    free(text);
    return status;
}

/* More values than anybody needs, more marks, a list of its own self. */
START_TEST(bombs) {
    static const char opcodes[] = "N](";
    for (size_t i = 0; opcodes[i]; i++) {
        struct error err = ERROR_NONE;
        ck_assert_int_eq(repeat(opcodes[i], PICKLE_VALUES_MAX + 1, &err), STATUS_TOO_LARGE);
        ck_assert_msg(strstr(err.message, "more than 1048576 values"), "%s", err.message);
        ck_assert_int_eq(repeat(opcodes[i], PICKLE_VALUES_MAX, NULL), STATUS_UNPROCESSABLE);
    }
    struct pickle pickle;
    uint8_t *copy;
    struct text self = TEXT("]q\0h\0a.");
    ck_assert_int_eq(parse(&pickle, &copy, self, NULL), STATUS_OK);
    ck_assert_uint_eq(pickle_item(&pickle, pickle.root, 0), pickle.root);
    ck_assert_uint_eq(pickle_item(&pickle, pickle.root, 1), PICKLE_NOTHING);
    pickle_free(&pickle);
    free(copy);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, accepted, 0, 50);
    tcase_add_loop_test(tests, refused, 0, 48);
    tcase_add_test(tests, bombs);
    return program_run("pickle", tests, CK_NOFORK);
}
