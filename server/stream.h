/* stream.h - a bounded pipe from the thread that makes a body to the one that sends it.
 *
 * The writer waits while the pipe is full; the reader never does: it is told when the
 * pipe is empty, and woken when it is not any more, for the first time when there is anything
 * to read at all. Either may leave first; the last one to leave frees the stream. */
#ifndef SERVER_STREAM_H
#define SERVER_STREAM_H

#include <stdatomic.h>

#include "api/http.h"

struct stream;

enum { STREAM_SIZE = 256 << 10 }; /* bytes that it holds at most */

struct stream_options {
    /* Called on the writer's thread, once at first and for each stream_wait() that was true. */
    void (*wake)(void *context);
    void *context;
    /* Writes fail once one is set. `gone` lives as long as the reader; NULL: nobody looks. */
    const _Atomic bool *gone, *stopping;
};

enum status stream_create(struct stream **out, const struct stream_options *options,
                          struct error *err);

/* The writer's end. */
struct http_sink *stream_sink(struct stream *stream);
/* The writer's last call. With `failed` the reader gets to know that something is missing. */
void stream_end(struct stream *stream, bool failed);

enum stream_state { STREAM_DATA, STREAM_EMPTY, STREAM_ENDED, STREAM_FAILED };

/* Takes at most `room` bytes; *size is 0 unless STREAM_DATA is returned. */
enum stream_state stream_read(struct stream *stream, void *out, size_t room, size_t *size);
/* False: there is something to read, or the end. True: wake() will be called. */
bool stream_wait(struct stream *stream);
/* The reader's last call. */
void stream_abandon(struct stream *stream);

#endif
