/* A profile of int8: whatever is accepted can be printed, and reads back as the same. */
#include "core/model/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buffer print(const struct profile *profile) {
    struct buffer text;
    buffer_init(&text, PROFILE_SIZE_MAX);
    if (profile_print(profile, &text, NULL)) abort();
    return text;
}

/* NULL when it is refused. */
static struct profile *parse(struct bytes text) {
    struct profile *profile = malloc(sizeof(*profile));
    struct error err = ERROR_NONE;
    if (!profile) abort();
    if (!profile_parse(profile, text, "profile", &err)) return profile;
    if (!err.status) abort();
    free(profile);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct profile *first = parse((struct bytes){data, size});
    if (!first) return 0;
    struct buffer text = print(first);
    struct profile *second = parse(buffer_view(&text));
    if (!second || memcmp(&first->plan, &second->plan, sizeof(first->plan)) != 0) abort();
    struct buffer again = print(second);
    if (again.size != text.size || memcmp(again.data, text.data, text.size) != 0) abort();
    buffer_free(&again);
    buffer_free(&text);
    free(second);
    free(first);
    return 0;
}
