#include "server/multipart.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

static const char type_x[] = "multipart/form-data; boundary=x";

struct form {
    uint8_t *body;
    struct buffer parts;
    enum status status;
    struct error err;
};

static void parse_bytes(struct form *form, const char *type, const void *body, size_t size) {
    form->body = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(form->body);
    if (size) memcpy(form->body, body, size);
    form->err = ERROR_NONE;
    buffer_init(&form->parts, MULTIPART_PARTS_MAX * sizeof(struct http_part));
    form->status = multipart_parse(&form->parts, form->body, size, type, &form->err);
}

static void parse(struct form *form, const char *type, const char *body) {
    parse_bytes(form, type, body, strlen(body));
}

static void release(struct form *form) {
    buffer_free(&form->parts);
    free(form->body);
}

static size_t count_of(const struct form *form) {
    return form->parts.size / sizeof(struct http_part);
}

static const struct http_part *part_of(const struct form *form, size_t i) {
    ck_assert_uint_lt(i, count_of(form));
    return (const struct http_part *)(const void *)form->parts.data + i;
}

static void check_part(const struct form *form, size_t i, const char *name, const char *filename,
                       const char *type, const char *data) {
    const struct http_part *part = part_of(form, i);
    ck_assert_str_eq(part->name, name);
    ck_assert_str_eq(part->filename, filename);
    ck_assert_str_eq(part->content_type, type);
    ck_assert_uint_eq(part->data.size, strlen(data));
    ck_assert_int_eq(memcmp(part->data.data, data, part->data.size), 0);
}

static void check_status(const char *type, const char *body, enum status status) {
    struct form form;
    parse(&form, type, body);
    ck_assert_msg(form.status == status, "%s for %s", status_name(form.status), body);
    if (status != STATUS_OK) ck_assert_int_eq(form.err.status, status);
    release(&form);
}

START_TEST(whole_form) {
    struct form form;
    parse(&form, type_x,
          "--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n"
          "Content-Type: image/jpeg\r\n\r\nabc\r\n--x\r\n"
          "content-disposition:form-data;name=labels\r\n\r\ncat,dog\r\n--x--\r\n");
    ck_assert_int_eq(form.status, STATUS_OK);
    ck_assert_uint_eq(count_of(&form), 2);
    check_part(&form, 0, "image", "a.jpg", "image/jpeg", "abc");
    check_part(&form, 1, "labels", "", "", "cat,dog");
    release(&form);
}
END_TEST

START_TEST(empty_parts_count) {
    struct form form;
    const char head[] = "Content-Disposition: form-data; name=\"a\"\r\n";
    char body[512];
    /* With its own CRLF, and sharing that of the boundary. */
    snprintf(body, sizeof(body), "--x\r\n%s\r\n\r\n--x\r\n%s\r\n--x\r\n%s\r\n1\r\n--x--", head,
             head, head);
    parse(&form, type_x, body);
    ck_assert_int_eq(form.status, STATUS_OK);
    ck_assert_uint_eq(count_of(&form), 3);
    check_part(&form, 0, "a", "", "", "");
    check_part(&form, 1, "a", "", "", "");
    check_part(&form, 2, "a", "", "", "1");
    release(&form);
}
END_TEST

START_TEST(what_only_looks_like_a_boundary_is_data) {
    struct form form;
    parse(&form, type_x,
          "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
          "\r\n--\r\n--y\r\n--xy\r\n--x-\r\n--x--z\r\n x--x\r\n--x--");
    ck_assert_int_eq(form.status, STATUS_OK);
    check_part(&form, 0, "a", "", "", "\r\n--\r\n--y\r\n--xy\r\n--x-\r\n--x--z\r\n x--x");
    release(&form);
}
END_TEST

START_TEST(data_is_any_bytes) {
    struct buffer body;
    buffer_init(&body, 1024);
    buffer_printf(&body, NULL, "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n");
    for (int i = 0; i < 256; i++) buffer_append(&body, &(uint8_t){(uint8_t)i}, 1, NULL);
    buffer_printf(&body, NULL, "\r\n--x--");
    struct form form;
    parse_bytes(&form, type_x, body.data, body.size);
    ck_assert_int_eq(form.status, STATUS_OK);
    ck_assert_uint_eq(part_of(&form, 0)->data.size, 256);
    for (int i = 0; i < 256; i++) ck_assert_uint_eq(part_of(&form, 0)->data.data[i], i);
    release(&form);
    buffer_free(&body);
}
END_TEST

START_TEST(text_around_and_blanks) {
    struct form form;
    parse(&form, "Multipart/Form-Data ; charset=utf-8; Boundary=\"a b\"",
          "preamble\r\n--a bc\r\n--a b \t\r\n"
          "CONTENT-DISPOSITION: Form-Data; Name=\"q\\\"\\\\;=\"; size=1; filename=\"\"\r\n"
          "Content-Transfer-Encoding: BINARY\r\nX-Other: 1\r\n\r\n1\r\n--a b-- \r\nepilogue");
    ck_assert_int_eq(form.status, STATUS_OK);
    ck_assert_uint_eq(count_of(&form), 1);
    check_part(&form, 0, "q\"\\;=", "", "", "1");
    release(&form);
}
END_TEST

START_TEST(every_cut_is_seen) {
    const char body[] = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\n"
                        "Content-Disposition: form-data; name=\"b\"\r\n\r\n2\r\n--x--";
    for (size_t size = 0; size < strlen(body); size++) {
        struct form form;
        parse_bytes(&form, type_x, body, size);
        ck_assert_msg(form.status == STATUS_INVALID, "cut at %zu", size);
        release(&form);
    }
    check_status(type_x, body, STATUS_OK);
}
END_TEST

START_TEST(boundary_limits) {
    char type[256], body[512], name[81];
    for (size_t size = 70; size <= 71; size++) {
        memset(name, 'b', size);
        name[size] = '\0';
        snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", name);
        snprintf(body, sizeof(body),
                 "--%s\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--%s--", name,
                 name);
        check_status(type, body, size == 70 ? STATUS_OK : STATUS_INVALID);
    }
    check_status("multipart/form-data", "--\r\n", STATUS_INVALID);
    check_status("multipart/form-data; boundary=", "--\r\n\r\n--\r\n", STATUS_INVALID);
    check_status("multipart/form-data; boundary=\"\"", "--\r\n\r\n--\r\n", STATUS_INVALID);
    check_status("multipart/form-data; boundary=\"x", "--x--", STATUS_INVALID);
    check_status("multipart/form-data; oundary=x", "--x--", STATUS_INVALID);
}
END_TEST

START_TEST(malformed) {
    static const char *const heads[] = {
        "",
        "no colon\r\n",
        ": no name\r\n",
        "X y: blank in the name\r\n",
        "Content-Type: image/png\r\n",
        "Content-Disposition: attachment; name=\"a\"\r\n",
        "Content-Disposition: form-data\r\n",
        "Content-Disposition: form-datax; name=\"a\"\r\n",
        "Content-Disposition: form-data; name=\"\"\r\n",
        "Content-Disposition: form-data; name=\"a\r\n",
        "Content-Disposition: form-data; name\r\n",
        "Content-Disposition: form-data; filename=\"a\"\r\n",
        "Content-Disposition: form-data; name=\"a\x01\"\r\n",
        "Content-Disposition: form-data; name=\"a\"\r\n folded: 1\r\n",
        "Content-Disposition: form-data; name=\"a\"\n",
        "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed\r\n",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body), "--x\r\n%s\r\n1\r\n--x--", heads[i]);
        check_status(type_x, body, STATUS_INVALID);
    }
    check_status(type_x,
                 "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n"
                 "Content-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--x--",
                 STATUS_UNSUPPORTED);
    check_status(type_x, "--x--\r\n", STATUS_INVALID);
    check_status(type_x, "--x\r\n--x\r\n--x--\r\n", STATUS_INVALID);
    check_status(type_x, "nothing", STATUS_INVALID);
}
END_TEST

START_TEST(header_limit) {
    for (int over = 0; over <= 1; over++) {
        struct buffer body;
        buffer_init(&body, 1 << 20);
        const char head[] = "Content-Disposition: form-data; name=\"a\"\r\nX: ";
        buffer_printf(&body, NULL, "--x\r\n%s", head);
        /* The last line ends at the limit, or one byte behind it. */
        for (size_t i = strlen(head); i < (size_t)MULTIPART_HEADERS_MAX - 2 + (size_t)over; i++)
            buffer_append(&body, "v", 1, NULL);
        buffer_printf(&body, NULL, "\r\n\r\n1\r\n--x--");
        struct form form;
        parse_bytes(&form, type_x, body.data, body.size);
        ck_assert_int_eq(form.status, over ? STATUS_INVALID : STATUS_OK);
        release(&form);
        buffer_free(&body);
    }
}
END_TEST

START_TEST(parts_limit) {
    struct buffer body;
    buffer_init(&body, 1 << 24);
    const char part[] = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    for (int i = 0; i < MULTIPART_PARTS_MAX; i++) buffer_append(&body, part, strlen(part), NULL);
    size_t size = body.size;
    for (int over = 0; over <= 1; over++) {
        body.size = size;
        if (over) buffer_append(&body, part, strlen(part), NULL);
        buffer_append(&body, "--x--", 5, NULL);
        struct form form;
        parse_bytes(&form, type_x, body.data, body.size);
        ck_assert_int_eq(form.status, over ? STATUS_TOO_LARGE : STATUS_OK);
        ck_assert_uint_eq(count_of(&form), MULTIPART_PARTS_MAX);
        release(&form);
    }
    buffer_free(&body);
}
END_TEST

START_TEST(announced_by_content_type) {
    ck_assert(multipart_is_form("multipart/form-data"));
    ck_assert(multipart_is_form("MULTIPART/form-data;boundary=x"));
    ck_assert(!multipart_is_form("multipart/form-datax"));
    ck_assert(!multipart_is_form("multipart/mixed; boundary=x"));
    ck_assert(!multipart_is_form("image/png"));
    ck_assert(!multipart_is_form(""));
    ck_assert(!multipart_is_form(NULL));
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("multipart");
    tcase_add_test(cases, whole_form);
    tcase_add_test(cases, empty_parts_count);
    tcase_add_test(cases, what_only_looks_like_a_boundary_is_data);
    tcase_add_test(cases, data_is_any_bytes);
    tcase_add_test(cases, text_around_and_blanks);
    tcase_add_test(cases, every_cut_is_seen);
    tcase_add_test(cases, boundary_limits);
    tcase_add_test(cases, malformed);
    tcase_add_test(cases, header_limit);
    tcase_add_test(cases, parts_limit);
    tcase_add_test(cases, announced_by_content_type);
    return program_run("multipart", cases, CK_NOFORK);
}
