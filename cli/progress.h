/* progress.h - how far a long transfer is: a bar with rate and time left on a terminal, a
 * line for each tenth elsewhere. All of it goes to standard error. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_SIZE_TEXT = 16 };

struct progress {
    bool quiet, terminal;
    uint64_t have, total;
    double rate;        /* bytes a second, of late; 0 when not known yet */
    uint64_t shown_ns;  /* when the bar was drawn */
    uint64_t sample_ns; /* when `sample` bytes were there */
    uint64_t sample;
    unsigned tenths; /* lines printed */
};

void progress_begin(struct progress *progress, bool quiet);
/* As often as wanted; draws no more than some times a second. */
void progress_update(struct progress *progress, uint64_t have, uint64_t total);
/* A line of its own, over the bar. */
void progress_print(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes the bar away. */
void progress_end(struct progress *progress);

/* "605.2 MB", of 1000 */
void progress_size(char out[PROGRESS_SIZE_TEXT], double bytes);

#endif
