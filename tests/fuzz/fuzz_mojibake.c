/* A text to ftfy's repairs: what comes out is UTF-8, no longer than half as long again, and
 * needs no second repair. */
#include <stdlib.h>
#include <string.h>

#include "core/text/ftfy.h"
#include "core/text/garbled.h"
#include "core/text/mojibake.h"
#include "core/text/unicode.h"

enum { LIMIT = 1 << 24, WORK = 1 << 28 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
    if (!condition) abort();
}

static void repair(struct buffer *out, struct bytes text) {
    size_t work = WORK, offset;
    buffer_init(out, LIMIT);
    expect(!mojibake_fix(out, text, &work, NULL));
    expect(unicode_valid(buffer_view(out), &offset));
    expect(out->size <= text.size + text.size / 2);
}

static void walk_runs(struct bytes text) {
    size_t begin, end;
    for (size_t at = 0; garbled_run(&begin, &end, text, at); at = end)
        expect(at <= begin && begin < end && end <= text.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes text = {data, size};
    size_t offset;
    if (!unicode_valid(text, &offset)) return 0;
    walk_runs(text);
    struct buffer once, twice, fixed;
    repair(&once, text);
    repair(&twice, buffer_view(&once));
    expect(once.size == twice.size && (!once.size || !memcmp(once.data, twice.data, once.size)));
    if (!garbled_suspect(text))
        expect(once.size == size && (!size || !memcmp(once.data, data, size)));
    buffer_init(&fixed, LIMIT);
    expect(!ftfy_fix(&fixed, text, NULL));
    expect(unicode_valid(buffer_view(&fixed), &offset));
    buffer_free(&once);
    buffer_free(&twice);
    buffer_free(&fixed);
    return 0;
}
