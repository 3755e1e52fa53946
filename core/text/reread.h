/* reread.h - reads UTF-8 that was taken for another encoding as UTF-8. */
#ifndef CORE_TEXT_REREAD_H
#define CORE_TEXT_REREAD_H

#include "core/base/bytes.h"
#include "core/text/mojibake_tables.h"

/* One bit for each encoding that has all the characters of the text, which is valid UTF-8. */
unsigned reread_encodings(struct bytes text);

/* Puts what the bytes of the text in `encoding`, which has its characters, mean as UTF-8 into
 * `out`, in place of what was there: *read is false if they mean nothing. Bytes that were lost
 * on the way are put back where it is clear which they were (SPEC 5.3.1). The result, and what
 * is left in `spare`, take no more bytes than the text. */
enum status reread_as(struct buffer *out, bool *read, struct bytes text,
                      enum mojibake_encoding encoding, struct buffer *spare, struct error *err);

#endif
