/* utf8.h - is it UTF-8? What arrives outside of JSON need not be. */
#ifndef API_UTF8_H
#define API_UTF8_H

#include <stdbool.h>

#include "core/base/bytes.h"

/* Bytes of the well-formed character (RFC 3629) at the start of `text`, 1 to 4; 0 when
 * there is none. */
size_t utf8_character(struct bytes text);
bool utf8_valid(struct bytes text);

#endif
