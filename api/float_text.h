/* float_text.h - floats as the fewest digits that read back as the same float.
 *
 * Embeddings are most of what the service writes: 512 numbers a piece. printf() with
 * nine digits takes a third of a microsecond each and always writes all nine. */
#ifndef API_FLOAT_TEXT_H
#define API_FLOAT_TEXT_H

#include <stddef.h>

enum { FLOAT_TEXT_MAX = 32 };

/* Writes a JSON number, without a NUL, and returns its length. A reader that goes
 * through double (Python, JavaScript) gets the same float, too. JSON has no word for
 * infinity and NaN: they become null. */
size_t float_text(char out[FLOAT_TEXT_MAX], float value);

#endif
