#include "core/index/top.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/bytes.h"

enum status top_init(struct top *top, size_t limit, struct error *err) {
    size_t bytes;
    bool fits = size_multiply(&bytes, limit, sizeof(*top->entries));
    *top = (struct top){.limit = limit};
    top->entries = fits ? malloc(bytes) : NULL;
    if (!top->entries) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the best %zu", limit);
    }
    atomic_init(&top->floor, -INFINITY);
    pthread_mutex_init(&top->lock, NULL);
    return STATUS_OK;
}

void top_free(struct top *top) {
    if (!top->entries) return;
    pthread_mutex_destroy(&top->lock);
    free(top->entries);
    top->entries = NULL;
}

void top_clear(struct top *top) {
    top->count = 0;
    atomic_store(&top->floor, -INFINITY);
}

float top_floor(struct top *top) {
    return atomic_load_explicit(&top->floor, memory_order_relaxed);
}

static bool is_worse(const struct candidate *a, const struct candidate *b) {
    return a->score < b->score || (a->score == b->score && a->row > b->row);
}

static void sift_up(struct candidate *heap, size_t at) {
    struct candidate moved = heap[at];
    while (at > 0 && is_worse(&moved, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

static void sift_down(struct candidate *heap, size_t count) {
    struct candidate moved = heap[0];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && is_worse(&heap[child + 1], &heap[child])) child++;
        if (!is_worse(&heap[child], &moved)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

void top_push(struct top *top, const struct candidate *candidates, size_t count) {
    pthread_mutex_lock(&top->lock);
    for (size_t i = 0; i < count; i++) {
        if (top->count < top->limit) {
            top->entries[top->count] = candidates[i];
            sift_up(top->entries, top->count++);
        } else if (is_worse(&top->entries[0], &candidates[i])) {
            top->entries[0] = candidates[i];
            sift_down(top->entries, top->count);
        }
    }
    if (top->count == top->limit)
        atomic_store_explicit(&top->floor, top->entries[0].score, memory_order_relaxed);
    pthread_mutex_unlock(&top->lock);
}

static int compare(const void *left, const void *right) {
    const struct candidate *a = left, *b = right;
    if (is_worse(a, b)) return 1;
    return is_worse(b, a) ? -1 : 0;
}

void top_sort(struct top *top) {
    qsort(top->entries, top->count, sizeof(*top->entries), compare);
}
