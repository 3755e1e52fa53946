/* base64.h - RFC 4648, the alphabet with + and /. */
#ifndef CORE_BASE_BASE64_H
#define CORE_BASE_BASE64_H

#include "core/base/bytes.h"

/* Appends the decoded bytes. Padding may be left out and white space between
 * characters is skipped, as clients send both; anything else is STATUS_INVALID. */
enum status base64_decode(struct buffer *out, struct bytes text, struct error *err);
/* Appends the padded text. */
enum status base64_encode(struct buffer *out, struct bytes data, struct error *err);

#endif
