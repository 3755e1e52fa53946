#include "server/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct stream {
    struct http_sink sink; /* first: a sink is a stream */
    struct stream_options options;
    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t room;  /* there is some, or the reader has left */
    size_t start, size;   /* of what `data` holds, a ring */
    bool waiting;         /* the reader, to be woken */
    bool ended, failed, abandoned;
    uint8_t data[STREAM_SIZE];
};

/* Copies what fits to the end of the ring, and returns how much that was. */
static size_t put(struct stream *stream, struct bytes data) {
    size_t done = 0;
    while (done < data.size && stream->size < STREAM_SIZE) {
        size_t at = (stream->start + stream->size) % STREAM_SIZE;
        size_t run = (at < stream->start ? stream->start : STREAM_SIZE) - at;
        if (run > data.size - done) run = data.size - done;
        memcpy(stream->data + at, data.data + done, run);
        stream->size += run;
        done += run;
    }
    return done;
}

/* Ends the reader's wait, if it waits; to be called without the lock. */
static void wake(struct stream *stream, bool waits) {
    if (waits) stream->options.wake(stream->options.context);
}

static bool take_waiting(struct stream *stream) {
    bool waits = stream->waiting;
    stream->waiting = false;
    return waits;
}

/* Nobody wants more. Needs the lock. */
static bool is_left(const struct stream *stream) {
    const _Atomic bool *gone = stream->options.gone;
    return stream->abandoned || atomic_load(stream->options.stopping) ||
           (gone && atomic_load(gone));
}

static enum status write_all(struct http_sink *sink, struct bytes data, struct error *err) {
    struct stream *stream = (struct stream *)(void *)sink;
    bool left = false;
    do {
        pthread_mutex_lock(&stream->lock);
        while (data.size && stream->size == STREAM_SIZE && !stream->abandoned)
            pthread_cond_wait(&stream->room, &stream->lock);
        left = is_left(stream);
        size_t done = left ? 0 : put(stream, data);
        bool waits = done && take_waiting(stream);
        pthread_mutex_unlock(&stream->lock);
        wake(stream, waits);
        if (done) data.data += done;
        data.size -= done;
    } while (data.size && !left);
    return left ? error_set(err, STATUS_UNAVAILABLE, "nobody waits for the answer any more")
                : STATUS_OK;
}

enum status stream_create(struct stream **out, const struct stream_options *options,
                          struct error *err) {
    struct stream *stream = malloc(sizeof(*stream));
    if (!stream) return error_set(err, STATUS_NO_MEMORY, "out of memory for a long answer");
    memset(stream, 0, offsetof(struct stream, data));
    stream->sink.write = write_all;
    stream->options = *options;
    stream->waiting = true;
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->room, NULL);
    *out = stream;
    return STATUS_OK;
}

static void destroy(struct stream *stream) {
    pthread_mutex_destroy(&stream->lock);
    pthread_cond_destroy(&stream->room);
    free(stream);
}

struct http_sink *stream_sink(struct stream *stream) {
    return &stream->sink;
}

void stream_end(struct stream *stream, bool failed) {
    pthread_mutex_lock(&stream->lock);
    bool last = stream->abandoned, waits = take_waiting(stream);
    void (*call)(void *) = stream->options.wake;
    void *context = stream->options.context;
    stream->ended = true;
    stream->failed = failed;
    pthread_mutex_unlock(&stream->lock);
    /* From here on the stream is the reader's. */
    if (waits) call(context);
    if (last) destroy(stream);
}

enum stream_state stream_read(struct stream *stream, void *out, size_t room, size_t *size) {
    enum stream_state state = STREAM_DATA;
    pthread_mutex_lock(&stream->lock);
    size_t run = STREAM_SIZE - stream->start;
    if (run > stream->size) run = stream->size;
    if (run > room) run = room;
    if (run)
        memcpy(out, stream->data + stream->start, run);
    else if (stream->ended)
        state = stream->failed ? STREAM_FAILED : STREAM_ENDED;
    else
        state = STREAM_EMPTY;
    stream->start = (stream->start + run) % STREAM_SIZE;
    stream->size -= run;
    pthread_cond_signal(&stream->room);
    pthread_mutex_unlock(&stream->lock);
    *size = run;
    return state;
}

bool stream_wait(struct stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->waiting = !stream->size && !stream->ended;
    bool waits = stream->waiting;
    pthread_mutex_unlock(&stream->lock);
    return waits;
}

void stream_abandon(struct stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->abandoned = true;
    bool last = stream->ended;
    pthread_cond_signal(&stream->room);
    pthread_mutex_unlock(&stream->lock);
    if (last) destroy(stream);
}
