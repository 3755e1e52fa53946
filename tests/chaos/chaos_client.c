/* chaos_client.c - a replica's worth of calls, for run_chaos.py to disturb.
 *
 *   chaos_client STORE PREFIX   writes items PREFIX-0, PREFIX-1, ..., one a call, and
 *                               searches after each, until its standard input ends. Prints
 *                               a line for each call when it is over:
 *                                   write PREFIX-7 ok 1.8 123.456
 *                               which is the status, how long it took in ms, and when it was
 *                               over by the monotonic clock in s. "wrong" is the status
 *                               of a search whose hits are not those that must be.
 *   chaos_client STORE          prints the ids of all items.
 *   chaos_client STORE delete ID
 *                               deletes an item and prints the status and how many that were. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/index/collection.h"

enum { DIM = 8, FIXED = 3, PAUSE_US = 2000 };

static const char digest[] = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/* Fixed items lie at 0.1, 0.2 and 0.3 from the first axis; all others behind it. */
static struct item item_at(const char *id, double angle, float embedding[DIM]) {
    memset(embedding, 0, DIM * sizeof(*embedding));
    embedding[0] = (float)cos(angle);
    embedding[1] = (float)sin(angle);
    return (struct item){.id = bytes_of(id), .embedding = embedding, .dim = DIM};
}

static void must(enum status status, const struct error *err, const char *what) {
    if (!status) return;
    fprintf(stderr, "chaos_client: %s: %s\n", what, err->message);
    exit(1);
}

static enum status put(struct collections *c, const char *id, double angle, struct error *err) {
    float embedding[DIM];
    struct collection_upserted done;
    struct item item = item_at(id, angle, embedding);
    return collection_upsert(c, "chaos", digest, &item, 1, &done, err);
}

static enum status note_hit(void *context, const struct hit *hit, struct error *err) {
    char *seen = context;
    (void)err;
    size_t size = strlen(seen);
    snprintf(seen + size, 256 - size, " %.*s", (int)hit->item.id.size,
             (const char *)hit->item.id.data);
    return STATUS_OK;
}

static const char *search(struct collections *c) {
    float embedding[DIM];
    char seen[256] = "";
    struct item at = item_at("", 0, embedding);
    struct search query = {
        .embedding = at.embedding, .dim = DIM, .top_k = FIXED, .score_min = -1, .exact = true};
    struct hit_visitor visitor = {0, note_hit, seen};
    enum status status = collection_search(c, "chaos", &query, 1, &visitor, NULL);
    if (status) return status_name(status);
    return strcmp(seen, " fixed-1 fixed-2 fixed-3") == 0 ? "ok" : "wrong";
}

static void report(const char *what, const char *id, const char *status, uint64_t start) {
    uint64_t now = clock_now_ns();
    printf("%s %s %s %.1f %.3f\n", what, id, status, (double)(now - start) / 1e6,
           (double)now / 1e9);
    fflush(stdout);
}

static void work(struct collections *c, const char *prefix) {
    char id[64], byte;
    struct error err = ERROR_NONE;
    struct collection_spec spec = {.name = "chaos", .model = "none", .dim = DIM};
    bool created;
    memcpy(spec.model_digest, digest, sizeof(digest));
    must(collection_create(c, &spec, &created, &err), &err, "create");
    for (int i = 1; i <= FIXED; i++) {
        snprintf(id, sizeof(id), "fixed-%d", i);
        must(put(c, id, 0.1 * i, &err), &err, "put");
    }
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    for (unsigned n = 0; read(STDIN_FILENO, &byte, 1) != 0; n++) {
        snprintf(id, sizeof(id), "%s-%u", prefix, n);
        uint64_t start = clock_now_ns();
        enum status status = put(c, id, 2 + n % 100 * 0.01, NULL);
        report("write", id, status_name(status), start);
        start = clock_now_ns();
        report("search", "-", search(c), start);
        usleep(PAUSE_US);
    }
}

static enum status print_item(void *context, const struct item *item, struct error *err) {
    (void)context;
    (void)err;
    printf("%.*s\n", (int)item->id.size, (const char *)item->id.data);
    return STATUS_OK;
}

static void delete_item(struct collections *c, const char *id) {
    struct bytes bytes = bytes_of(id);
    uint64_t deleted = 0;
    enum status status = collection_delete(c, "chaos", &bytes, 1, &deleted, NULL);
    printf("%s %u\n", status_name(status), (unsigned)deleted);
}

int main(int argc, char **argv) {
    struct error err = ERROR_NONE;
    struct collections *c = NULL;
    if (argc < 2) return 2;
    log_init(LOG_OFF, LOG_TEXT);
    struct item_visitor visitor = {0, print_item, NULL};
    struct collections_options options = {.store = argv[1], .threads = 1};
    must(collections_open(&c, &options, &err), &err, "open");
    if (argc > 3)
        delete_item(c, argv[3]);
    else if (argc > 2)
        work(c, argv[2]);
    else
        must(collection_scroll(c, "chaos", NULL, (struct bytes){0}, INT32_MAX, &visitor, &err),
             &err, "scroll");
    collections_close(c);
    return 0;
}
