/* conformance.h - published outputs of the real OpenAI ViT-B/32 against a model.
 *
 * The folder is ../shared/reference or one of the same form: two tables of vectors, a page
 * whose rows name an input and what a public project says comes out, and the
 * photographs. The numbers come from the folder alone, the tolerances from its page: they are those
 * of the projects' own tests, which ran in half precision or on other machines. */
#ifndef TESTS_SUPPORT_CONFORMANCE_H
#define TESTS_SUPPORT_CONFORMANCE_H

#include "core/engine.h"

struct conformance {
    size_t texts, images, rows; /* that were compared: vectors, and rows of the page */
    size_t failed;
    char first[256]; /* what failed first */
};

/* Counts; a file or row that is not there has failed. */
void conformance_run(struct conformance *out, struct engine *engine, const char *folder);

#endif
