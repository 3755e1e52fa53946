/* call.h - one call of the engine on its way through a queue. For engine.c alone. */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include "core/engine_load.h"

/* The inputs of one call on their way: what became of each, and the batch entries
 * of those that are good. */
struct call {
    struct engine *engine;
    size_t count;
    struct error *errors;        /* [count] */
    struct batch_entry *entries; /* [count] */
    float *outputs;              /* [count, dim], the caller's */
    size_t dim;
};

/* To be freed, on failure as well. */
enum status call_init(struct call *call, struct engine *engine, size_t count, float *outputs,
                      struct error *err);
void call_free(struct call *call);

/* How many of `left` inputs may enter a queue together. A queue takes all or none, so
 * that more than fit at all go in parts, and a large call leaves room for others. */
size_t call_part(const struct engine *engine, size_t left);

/* Hands each input's error to a caller who wants them one by one, or fails the call
 * with the first. */
enum status call_report(const struct call *call, struct error *errors, struct error *err);

/* Runs the good inputs, `inputs[i]` for input i, through a tower's queue. */
enum status call_encode(struct call *call, struct batch_queue *queue, const void *inputs,
                        size_t stride, struct engine_call *how, struct error *err);

#endif
