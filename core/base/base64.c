#include "core/base/base64.h"

#include <nettle/base64.h>

enum status base64_encode(struct buffer *out, struct bytes data, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    if (data.size > SIZE_MAX / 2) return error_set(err, STATUS_TOO_LARGE, "too much to encode");
    size_t size = BASE64_ENCODE_RAW_LENGTH(data.size);
    uint8_t *to = buffer_reserve(out, size, err);
    if (!to) return err->status;
    base64_encode_raw((char *)to, data.size, data.data);
    out->size += size;
    return STATUS_OK;
}

enum status base64_decode(struct buffer *out, struct bytes text, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    struct base64_decode_ctx context;
    base64_decode_init(&context);
    size_t size = BASE64_DECODE_LENGTH(text.size);
    uint8_t *to = buffer_reserve(out, size, err);
    if (!to) return err->status;
    if (!base64_decode_update(&context, &size, to, text.size, (const char *)text.data)) {
        return error_set(err, STATUS_INVALID,
                         "not base64: a character outside of A-Z a-z 0-9 + / =");
    }
    /* One leftover character carries 6 bits: no byte, so something is missing. */
    if (!base64_decode_final(&context) && context.padding == 0 && context.bits >= 6) {
        return error_set(err, STATUS_INVALID, "not base64: %zu characters end in mid-byte",
                         text.size);
    }
    out->size += size;
    return STATUS_OK;
}
