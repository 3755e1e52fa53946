/* ftfy.h - what ftfy.fix_text() does to a text. */
#ifndef CORE_TEXT_FTFY_H
#define CORE_TEXT_FTFY_H

#include "core/base/bytes.h"

/* Appends the fixed text (SPEC 5.3); `text` is valid UTF-8. */
enum status ftfy_fix(struct buffer *out, struct bytes text, struct error *err);

#endif
