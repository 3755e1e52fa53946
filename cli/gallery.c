#include "cli/gallery.h"

#include <string.h>

#include "core/base/base64.h"
#include "core/image/image.h"

static const char head[] =
    "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'\">\n"
    "<style>body{font:14px sans-serif;margin:1em;background:#fafafa}"
    "figure{display:inline-block;width:180px;margin:6px;vertical-align:top}"
    "img{max-width:180px;max-height:180px}"
    "figcaption{overflow-wrap:anywhere;color:#444;font-size:12px}</style>\n";

/* As text of HTML, also between quotes. Bytes that are not ASCII are left to the page's
 * UTF-8, which a browser reads as U+FFFD where it is none. */
static enum status put_escaped(struct buffer *out, struct bytes text, struct error *err) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < text.size && !status; i++) {
        uint8_t c = text.data[i];
        if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'' || c < 0x20 || c == 0x7f)
            status = buffer_printf(out, err, "&#%u;", c);
        else
            status = buffer_append(out, &c, 1, err);
    }
    return status;
}

static enum status put(struct buffer *out, const char *text, struct error *err) {
    return buffer_append(out, text, strlen(text), err);
}

enum status gallery_begin(struct buffer *out, const char *title, struct error *err) {
    enum status status = put(out, head, err);
    if (!status) status = put(out, "<title>", err);
    if (!status) status = put_escaped(out, bytes_of(title), err);
    if (!status) status = put(out, "</title></head><body><h1>", err);
    if (!status) status = put_escaped(out, bytes_of(title), err);
    return status ? status : put(out, "</h1>\n", err);
}

static enum status put_picture(struct buffer *out, struct bytes thumbnail, struct error *err) {
    enum image_format format = image_sniff(thumbnail);
    if (format == IMAGE_UNKNOWN) return STATUS_OK;
    enum status status =
        buffer_printf(out, err, "<img alt=\"\" src=\"data:%s;base64,", image_format_type(format));
    if (!status) status = base64_encode(out, thumbnail, err);
    return status ? status : put(out, "\">", err);
}

enum status gallery_add(struct buffer *out, const struct item *item, float score,
                        struct error *err) {
    enum status status = put(out, "<figure>", err);
    if (!status) status = put_picture(out, item->thumbnail, err);
    if (!status) status = buffer_printf(out, err, "<figcaption>%.3f ", (double)score);
    if (!status) status = put_escaped(out, item->id, err);
    return status ? status : put(out, "</figcaption></figure>\n", err);
}

enum status gallery_end(struct buffer *out, struct error *err) {
    return put(out, "</body></html>\n", err);
}
