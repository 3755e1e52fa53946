/* mojibake.h - repairs text that was UTF-8 and was read as another encoding, any number of
 * times, as a whole or in parts: fix_encoding() of ftfy 6.3.1 (SPEC 5.3.1). */
#ifndef CORE_TEXT_MOJIBAKE_H
#define CORE_TEXT_MOJIBAKE_H

#include "core/base/bytes.h"

/* Appends the repaired text; most texts are not garbled_suspect(), and stay as they are.
 * `text` is valid UTF-8. *work is how many bytes the passes over text may still look at, a
 * good ten for each byte that is to be repaired; what is left when it is used up stays as
 * it is. The memory is some four times the text, the result at most half as long again. */
enum status mojibake_fix(struct buffer *out, struct bytes text, size_t *work, struct error *err);

#endif
