/* The pipe between who makes an answer and who sends it. */
#include "server/stream.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/program.h"

enum { TOTAL = 5 << 20 };

static _Atomic bool stopping;
static _Atomic int wakes;

static void count_wake(void *context) {
    (void)context;
    atomic_fetch_add(&wakes, 1);
}

static struct stream *open_stream(void) {
    struct stream *stream;
    struct stream_options options = {.wake = count_wake, .stopping = &stopping};
    atomic_store(&stopping, false);
    atomic_store(&wakes, 0);
    ck_assert_int_eq(stream_create(&stream, &options, NULL), STATUS_OK);
    return stream;
}

static enum status put(struct stream *stream, const char *text) {
    struct http_sink *sink = stream_sink(stream);
    return sink->write(sink, bytes_of(text), NULL);
}

START_TEST(bytes_come_in_order) {
    struct stream *stream = open_stream();
    char out[8];
    size_t size;
    ck_assert_int_eq(stream_read(stream, out, 8, &size), STREAM_EMPTY);
    ck_assert_int_eq(put(stream, "hello"), STATUS_OK);
    ck_assert_int_eq(put(stream, ""), STATUS_OK);
    ck_assert_int_eq(stream_read(stream, out, 3, &size), STREAM_DATA);
    ck_assert_uint_eq(size, 3);
    ck_assert_int_eq(put(stream, "!"), STATUS_OK);
    ck_assert_int_eq(stream_read(stream, out + 3, 5, &size), STREAM_DATA);
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(out, "hello!", 6);
    stream_end(stream, false);
    ck_assert_int_eq(stream_read(stream, out, 8, &size), STREAM_ENDED);
    ck_assert_uint_eq(size, 0);
    stream_abandon(stream);
}
END_TEST

START_TEST(the_reader_is_woken_once) {
    struct stream *stream = open_stream();
    char out[8];
    size_t size;
    ck_assert(stream_wait(stream));
    put(stream, "a");
    put(stream, "b");
    ck_assert_int_eq(wakes, 1);
    ck_assert(!stream_wait(stream));
    stream_read(stream, out, 8, &size);
    ck_assert(stream_wait(stream));
    stream_end(stream, true);
    ck_assert_int_eq(wakes, 2);
    ck_assert(!stream_wait(stream));
    ck_assert_int_eq(stream_read(stream, out, 8, &size), STREAM_FAILED);
    stream_abandon(stream);
}
END_TEST

static void *write_much(void *context) {
    struct stream *stream = context;
    struct http_sink *sink = stream_sink(stream);
    uint8_t piece[10007];
    size_t done = 0;
    enum status status = STATUS_OK;
    while (done < TOTAL && !status) {
        for (size_t i = 0; i < sizeof(piece); i++) piece[i] = (uint8_t)((done + i) % 251);
        status = sink->write(sink, (struct bytes){piece, sizeof(piece)}, NULL);
        done += sizeof(piece);
    }
    stream_end(stream, status != STATUS_OK);
    return NULL;
}

START_TEST(more_than_it_holds) {
    struct stream *stream = open_stream();
    pthread_t writer;
    uint8_t out[4096];
    size_t size, total = 0, wrong = 0;
    enum stream_state state;
    pthread_create(&writer, NULL, write_much, stream);
    while ((state = stream_read(stream, out, sizeof(out), &size)) < STREAM_ENDED) {
        for (size_t i = 0; i < size; i++) wrong += out[i] != (uint8_t)((total + i) % 251);
        total += size;
    }
    ck_assert_int_eq(state, STREAM_ENDED);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_ge(total, TOTAL);
    pthread_join(writer, NULL);
    stream_abandon(stream);
}
END_TEST

/* A writer that waits for room is let go, whichever way the reader leaves. */
START_TEST(the_writer_is_let_go) {
    struct stream *stream = open_stream();
    pthread_t writer;
    pthread_create(&writer, NULL, write_much, stream);
    usleep(20000);
    stream_abandon(stream);
    pthread_join(writer, NULL);
    stream = open_stream();
    atomic_store(&stopping, true);
    ck_assert_int_eq(put(stream, ""), STATUS_UNAVAILABLE);
    ck_assert_int_eq(put(stream, "x"), STATUS_UNAVAILABLE);
    stream_end(stream, true);
    stream_abandon(stream);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("stream");
    tcase_add_test(tests, bytes_come_in_order);
    tcase_add_test(tests, the_reader_is_woken_once);
    tcase_add_test(tests, more_than_it_holds);
    tcase_add_test(tests, the_writer_is_let_go);
    return program_run("stream", tests, CK_NOFORK);
}
