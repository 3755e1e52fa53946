#include "core/base/sha1.h"

#include <nettle/sha1.h>
#include <stdlib.h>

struct sha1_run {
    struct sha1_ctx context;
};

struct sha1_run *sha1_begin(void) {
    struct sha1_run *run = malloc(sizeof(*run));
    if (run) sha1_init(&run->context);
    return run;
}

void sha1_add(struct sha1_run *run, struct bytes part) {
    sha1_update(&run->context, part.size, part.data);
}

void sha1_end(struct sha1_run *run, uint8_t digest[SHA1_SIZE]) {
    sha1_digest(&run->context, SHA1_SIZE, digest);
    free(run);
}
