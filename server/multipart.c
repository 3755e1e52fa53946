/* multipart.c - see multipart.h.
 *
 * Strict where guessing could change what a part contains: lines end in CRLF, each
 * part has a name, the last boundary must be there. Lenient where clients differ
 * without harm: quoted or bare parameters, any case, text before the first and
 * after the last boundary. */
#include "server/multipart.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* RFC 2046, 5.1.1: at most 70 characters; here with the "\r\n--" in front. */
enum { BOUNDARY_MAX = 70, DELIMITER_MAX = BOUNDARY_MAX + 4 };

struct scan {
    uint8_t *next, *end;
    char delimiter[DELIMITER_MAX + 1]; /* "\r\n--boundary" */
    size_t delimiter_size;
};

static const char form_data[] = "multipart/form-data";

bool multipart_is_form(const char *content_type) {
    if (!content_type || strncasecmp(content_type, form_data, sizeof(form_data) - 1) != 0)
        return false;
    char after = content_type[sizeof(form_data) - 1];
    return !after || strchr("; \t", after);
}

/* One `; name=value` of a header, as it lies in the text. */
struct parameter {
    const char *name, *value; /* value: behind the opening quote, if there is one */
    size_t name_size, value_size;
    bool quoted;
};

/* Takes the next parameter from *text. False: there is none left, or what is there
 * is no parameter, which *text not being at its end tells. */
static bool next_parameter(struct parameter *out, const char **text) {
    const char *c = *text + strspn(*text, "; \t");
    *text = c;
    if (!*c) return false;
    *out = (struct parameter){.name = c, .name_size = strcspn(c, "=; \t\"")};
    c += out->name_size;
    if (!out->name_size || *c != '=') return false;
    out->quoted = *++c == '"';
    if (out->quoted) c++;
    out->value = c;
    if (out->quoted) {
        while (*c && *c != '"') c += *c == '\\' && c[1] ? 2 : 1;
        if (!*c) return false;
    } else {
        c += strcspn(c, "; \t");
    }
    out->value_size = (size_t)(c - out->value);
    *text = out->quoted ? c + 1 : c;
    return true;
}

static bool is_named(const struct parameter *parameter, const char *name) {
    return parameter->name_size == strlen(name) &&
           !strncasecmp(parameter->name, name, parameter->name_size);
}

static enum status read_boundary(struct scan *scan, const char *content_type, struct error *err) {
    const char *text = content_type + sizeof(form_data) - 1;
    struct parameter parameter;
    while (next_parameter(&parameter, &text)) {
        if (!is_named(&parameter, "boundary")) continue;
        if (!parameter.value_size || parameter.value_size > BOUNDARY_MAX)
            return error_set(err, STATUS_INVALID,
                             "multipart boundary of %zu characters, expected 1 to %d",
                             parameter.value_size, BOUNDARY_MAX);
        memcpy(scan->delimiter, "\r\n--", 4);
        memcpy(scan->delimiter + 4, parameter.value, parameter.value_size);
        scan->delimiter_size = 4 + parameter.value_size;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "multipart content-type without a boundary");
}

/* The first place of `text`, which begins with CR. Like memmem(), of which the
 * sanitizers check all that is left of the body for each call. */
static uint8_t *find_line(uint8_t *from, const uint8_t *end, const char *text, size_t size) {
    while ((size_t)(end - from) >= size) {
        from = memchr(from, '\r', (size_t)(end - from) - size + 1);
        if (!from || !memcmp(from, text, size)) return from;
        from++;
    }
    return NULL;
}

/* What follows a boundary in the text decides what it was. */
enum boundary { BOUNDARY_NONE, BOUNDARY_NEXT, BOUNDARY_LAST };

/* Looks at the bytes behind a boundary, and steps over them if it is one. */
static enum boundary classify(struct scan *scan, uint8_t *at) {
    bool last = scan->end - at >= 2 && at[0] == '-' && at[1] == '-';
    if (last) at += 2;
    while (at < scan->end && (*at == ' ' || *at == '\t')) at++;
    bool line_ends = scan->end - at >= 2 && at[0] == '\r' && at[1] == '\n';
    if (!line_ends && !(last && at == scan->end)) return BOUNDARY_NONE;
    scan->next = line_ends ? at + 2 : at;
    return last ? BOUNDARY_LAST : BOUNDARY_NEXT;
}

/* Everything up to the next boundary line becomes `content`. */
static enum boundary find_boundary(struct scan *scan, struct bytes *content) {
    uint8_t *from = scan->next, *start = from;
    for (;;) {
        uint8_t *found = find_line(from, scan->end, scan->delimiter, scan->delimiter_size);
        if (!found) return BOUNDARY_NONE;
        enum boundary kind = classify(scan, found + scan->delimiter_size);
        if (kind != BOUNDARY_NONE) {
            *content = (struct bytes){start, (size_t)(found - start)};
            return kind;
        }
        from = found + 2;
    }
}

/* The first boundary, which may stand at the very beginning, without its CRLF. */
static enum boundary find_first(struct scan *scan) {
    size_t size = scan->delimiter_size - 2;
    if ((size_t)(scan->end - scan->next) >= size &&
        !memcmp(scan->next, scan->delimiter + 2, size)) {
        enum boundary kind = classify(scan, scan->next + size);
        if (kind != BOUNDARY_NONE) return kind;
    }
    struct bytes preamble;
    return find_boundary(scan, &preamble);
}

/* Ends a parameter's value with a NUL, in the place of its closing quote or what
 * else follows, after taking out the backslashes of a quoted one. */
static const char *terminate(char *line, const struct parameter *parameter) {
    char *to = line + (parameter->value - line), *value = to;
    const char *end = parameter->value + parameter->value_size;
    for (const char *c = parameter->value; c < end; c++) {
        if (parameter->quoted && *c == '\\' && c + 1 < end) c++;
        *to++ = *c;
    }
    *to = '\0';
    return value;
}

/* `text` is what follows "content-disposition:". */
static enum status read_disposition(struct http_part *part, char *text, struct error *err) {
    static const char kind[] = "form-data";
    if (strncasecmp(text, kind, sizeof(kind) - 1) != 0 || !strchr("; \t", text[sizeof(kind) - 1]) ||
        *part->name)
        return error_set(err, STATUS_INVALID,
                         "part with another content-disposition than one form-data");
    const char *rest = text + sizeof(kind) - 1;
    struct parameter parameter, name = {0}, filename = {0};
    while (next_parameter(&parameter, &rest)) {
        if (is_named(&parameter, "name")) name = parameter;
        if (is_named(&parameter, "filename")) filename = parameter;
    }
    if (*rest || !name.value_size)
        return error_set(err, STATUS_INVALID,
                         "part with a malformed content-disposition, "
                         "expected form-data; name=\"...\"");
    part->name = terminate(text, &name);
    if (filename.value) part->filename = terminate(text, &filename);
    return STATUS_OK;
}

/* One line of a part's headers, NUL-terminated. */
static enum status read_header(struct http_part *part, char *line, struct error *err) {
    char *colon = strchr(line, ':');
    if (!colon || colon == line)
        return error_set(err, STATUS_INVALID, "part with a header line that has no name");
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    for (const char *c = line; *c; c++) {
        if (!isgraph((unsigned char)*c))
            return error_set(err, STATUS_INVALID, "part with a malformed header name");
    }
    if (!strcasecmp(line, "content-disposition")) return read_disposition(part, value, err);
    if (!strcasecmp(line, "content-type")) {
        if (!strncasecmp(value, "multipart/", 10))
            return error_set(err, STATUS_INVALID, "part that is multipart itself");
        part->content_type = value;
    }
    if (!strcasecmp(line, "content-transfer-encoding") && strcasecmp(value, "binary") != 0 &&
        strcasecmp(value, "8bit") != 0 && strcasecmp(value, "7bit") != 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "part with a content-transfer-encoding, expected the plain bytes");
    return STATUS_OK;
}

/* Reads the headers at scan->next and stops behind the empty line. */
static enum status read_headers(struct http_part *part, struct scan *scan, struct error *err) {
    *part = (struct http_part){.name = "", .filename = "", .content_type = ""};
    const uint8_t *start = scan->next;
    for (;;) {
        uint8_t *line = scan->next;
        uint8_t *end = find_line(line, scan->end, "\r\n", 2);
        if (!end) return error_set(err, STATUS_INVALID, "multipart body ends within a header");
        if (end - start > MULTIPART_HEADERS_MAX)
            return error_set(err, STATUS_INVALID, "part with more than %d bytes of headers",
                             MULTIPART_HEADERS_MAX);
        scan->next = end + 2;
        if (end == line) break;
        for (const uint8_t *c = line; c < end; c++) {
            if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
                return error_set(err, STATUS_INVALID, "part with a control byte in a header");
        }
        *end = '\0';
        enum status status = read_header(part, (char *)line, err);
        if (status != STATUS_OK) return status;
    }
    if (!*part->name) return error_set(err, STATUS_INVALID, "part without a content-disposition");
    /* The CRLF of the empty line may be the one that a boundary begins with. */
    scan->next -= 2;
    return STATUS_OK;
}

enum status multipart_parse(struct buffer *parts, uint8_t *body, size_t size,
                            const char *content_type, struct error *err) {
    struct scan scan = {.next = body, .end = body + size};
    enum status status = read_boundary(&scan, content_type, err);
    if (status != STATUS_OK) return status;
    enum boundary kind = size ? find_first(&scan) : BOUNDARY_NONE;
    if (kind != BOUNDARY_NEXT)
        return error_set(err, STATUS_INVALID, "multipart body without parts");
    for (size_t count = 0; kind == BOUNDARY_NEXT; count++) {
        if (count == MULTIPART_PARTS_MAX)
            return error_set(err, STATUS_TOO_LARGE, "more than %d parts in a multipart body",
                             MULTIPART_PARTS_MAX);
        struct http_part part;
        if ((status = read_headers(&part, &scan, err)) != STATUS_OK) return status;
        kind = find_boundary(&scan, &part.data);
        if (kind == BOUNDARY_NONE)
            return error_set(err, STATUS_INVALID,
                             "multipart body ends within part %zu, expected a last boundary",
                             count);
        /* Without the CRLF of the empty line; there is no data where it was the boundary's. */
        size_t skip = part.data.size < 2 ? part.data.size : 2;
        part.data.data += skip;
        part.data.size -= skip;
        if ((status = buffer_append(parts, &part, sizeof(part), err)) != STATUS_OK) return status;
    }
    return STATUS_OK;
}
