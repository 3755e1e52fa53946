#include "core/call.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status call_init(struct call *call, struct engine *engine, size_t count, float *outputs,
                      struct error *err) {
    *call = (struct call){
        .engine = engine, .count = count, .outputs = outputs, .dim = engine->info.embed_dim};
    call->errors = calloc(count, sizeof(*call->errors));
    call->entries = calloc(count, sizeof(*call->entries));
    if (call->errors && call->entries) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu inputs", count);
}

void call_free(struct call *call) {
    free(call->errors);
    free(call->entries);
}

enum status call_report(const struct call *call, struct error *errors, struct error *err) {
    for (size_t i = 0; i < call->count; i++) {
        struct error *error = &call->errors[i];
        if (error->status == STATUS_OK) continue;
        error->input = (int)i;
        if (errors) continue;
        return error_pass(err, error);
    }
    if (errors) memcpy(errors, call->errors, call->count * sizeof(*errors));
    return STATUS_OK;
}

static void normalize(float *embedding, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)embedding[i] * embedding[i];
    if (sum <= 0) return; /* zeros have no direction; they stay zeros */
    double scale = 1 / sqrt(sum);
    for (size_t i = 0; i < dim; i++) embedding[i] = (float)(embedding[i] * scale);
}

size_t call_part(const struct engine *engine, size_t left) {
    return left < engine->part_max ? left : engine->part_max;
}

static enum status run_queue(struct call *call, struct batch_queue *queue, size_t count,
                             const struct engine_call *how, struct error *err) {
    struct batch_patience patience = {.deadline_ns = how->deadline_ns, .gone = how->gone};
    enum status status = STATUS_OK;
    for (size_t done = 0, part; done < count && !status; done += part) {
        part = call_part(call->engine, count - done);
        status = batch_queue_run(queue, call->entries + done, part, &patience, err);
    }
    return status;
}

enum status call_encode(struct call *call, struct batch_queue *queue, const void *inputs,
                        size_t stride, struct engine_call *how, struct error *err) {
    size_t dim = call->dim, good = 0;
    for (size_t i = 0; i < call->count; i++) {
        float *output = call->outputs + i * dim;
        if (call->errors[i].status) {
            memset(output, 0, dim * sizeof(*output));
            continue;
        }
        struct batch_entry *entry = &call->entries[good++];
        entry->input = (const uint8_t *)inputs + i * stride;
        entry->output = output;
    }
    enum status status = run_queue(call, queue, good, how, err);
    uint64_t wait_ns = 0, run_ns = 0;
    for (how->done = 0; how->done < good; how->done++) {
        const struct batch_entry *entry = &call->entries[how->done];
        if (!entry->run_ns) break;
        if (entry->wait_ns > wait_ns) wait_ns = entry->wait_ns;
        if (entry->run_ns > run_ns) run_ns = entry->run_ns;
        if (!how->raw) normalize(entry->output, dim);
    }
    how->timings.queue_ns += wait_ns;
    how->timings.encode_ns += run_ns;
    return status;
}
