#include <stdlib.h>
#include <string.h>

#include "api/problem.h"
#include "api/response.h"
#include "api/upsert.h"
#include "core/base/clock.h"

/* Lines about batches are kept until the body has ended, as nothing can be sent before. */
enum { REPORT_MAX = 4 << 20 };

/* What is being read. */
struct lines {
    struct upsert *upsert;
    struct json_body *json;   /* [UPSERT_BATCH], of the batch */
    size_t first;             /* line of the batch, from 1 */
    bool blank[UPSERT_BATCH]; /* holds nothing: neither an item nor a failure */
    uint64_t failed, truncated, unreported;
};

static void write_line_error(struct writer *writer, size_t line, const struct error *error) {
    writer_begin_object(writer);
    upsert_write_count(writer, "line", line);
    upsert_write_count(writer, "status", (uint64_t)problem_status(error->status));
    writer_key(writer, "code");
    writer_text(writer, status_name(error->status));
    writer_key(writer, "detail");
    writer_text(writer, error->message);
    if (error->where[0]) {
        writer_key(writer, "pointer");
        writer_text(writer, error->where);
    }
    writer_end_object(writer);
}

static void end_line(struct writer *writer) {
    writer_end_object(writer);
    writer_line(writer);
}

static enum status report(struct lines *lines, const struct item_batch_result *result,
                          struct error *err) {
    const struct item_batch *batch = &lines->upsert->batch;
    struct writer *writer = lines->upsert->writer;
    bool full = writer->out->size >= REPORT_MAX || response_charge(lines->upsert->response, NULL);
    lines->unreported += full;
    if (!full) {
        writer_begin_object(writer);
        upsert_write_count(writer, "line", lines->first);
        upsert_write_count(writer, "lines", batch->count);
        upsert_write_result(writer, result);
        encode_write_truncated(writer, batch->truncated, batch->count);
        writer_key(writer, "errors");
        writer_begin_array(writer);
    }
    for (size_t i = 0; i < batch->count; i++) {
        lines->truncated += batch->truncated[i];
        if (!batch->errors[i].status || lines->blank[i]) continue;
        if (!full) write_line_error(writer, lines->first + i, &batch->errors[i]);
        lines->failed++;
    }
    if (full) return STATUS_OK;
    writer_end_array(writer);
    end_line(writer);
    return writer_finish(writer, err);
}

static void forget(struct lines *lines) {
    struct item_batch *batch = &lines->upsert->batch;
    for (size_t i = 0; i < batch->count; i++) json_body_free(&lines->json[i]);
    lines->first += batch->count;
    item_batch_clear(batch);
}

/* Puts the collected lines in. */
static enum status run_batch(struct lines *lines, struct error *err) {
    struct upsert *upsert = lines->upsert;
    struct item_batch_result result;
    if (!upsert->batch.count) return STATUS_OK;
    /* A part may hold thousands of lines: the deadline is for those that are put in together. */
    upsert->request->waiting_ns = clock_now_ns();
    enum status status = item_batch_prepare(&upsert->batch, upsert->api, upsert->request, err);
    if (!status) status = item_batch_put(&result, &upsert->batch, upsert->api, err);
    if (!status) status = report(lines, &result, err);
    if (status) return status;
    upsert->total.inserted += result.inserted;
    upsert->total.updated += result.updated;
    forget(lines);
    return STATUS_OK;
}

/* Some programs begin a file with the mark of UTF-8. */
static struct bytes skip_mark(struct bytes line) {
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    bool marked = line.size >= sizeof(mark) && memcmp(line.data, mark, sizeof(mark)) == 0;
    return marked ? (struct bytes){line.data + sizeof(mark), line.size - sizeof(mark)} : line;
}

static bool is_blank(struct bytes line) {
    for (size_t i = 0; i < line.size; i++) {
        uint8_t byte = line.data[i];
        if (byte != ' ' && byte != '\t' && byte != '\r') return false;
    }
    return true;
}

/* A line that is no JSON is an item that is bad; so is a blank one, of which nothing is told: it
 * has its place in the batch, so that lines are counted as they came. False, and nothing is added,
 * when there is no memory for it beside those before it. */
static bool add_line(struct lines *lines, struct bytes line) {
    struct item_batch *batch = &lines->upsert->batch;
    struct json_body *json = &lines->json[batch->count];
    struct error error = ERROR_NONE;
    if (lines->first == 1 && !batch->count) line = skip_mark(line);
    lines->blank[batch->count] = is_blank(line);
    enum status status = json_body_parse(json, line, upsert_values_max(lines->upsert, 1),
                                         lines->upsert->request->memory, &error);
    if (status == STATUS_OVERLOADED && batch->count) return false;
    if (status) *json = (struct json_body){0};
    item_batch_add(batch, json, json->root, "");
    if (status) batch->errors[batch->count - 1] = error;
    return true;
}

/* Puts in all lines of the part that are whole; the last one needs no end when nothing
 * follows. What was read of the part is counted in *used. */
static enum status take_part(struct lines *lines, size_t *used, bool ended, struct error *err) {
    struct bytes part = lines->upsert->request->body;
    enum status status = STATUS_OK;
    *used = 0;
    while (*used < part.size && !status) {
        const uint8_t *start = part.data + *used;
        const uint8_t *feed = memchr(start, '\n', part.size - *used);
        if (!feed && !ended) break;
        size_t size = feed ? (size_t)(feed - start) : part.size - *used;
        struct bytes line = {start, size};
        if (!add_line(lines, line)) {
            status = run_batch(lines, err);
            if (!status) add_line(lines, line);
        }
        *used += size + (feed != NULL);
        if (item_batch_is_full(&lines->upsert->batch)) status = run_batch(lines, err);
    }
    /* The lines lie in the part. */
    return status ? status : run_batch(lines, err);
}

static enum status read_lines(struct lines *lines, struct error *err) {
    struct http_request *request = lines->upsert->request;
    size_t used = 0, line_max = lines->upsert->api->options.body_max;
    bool ended = false;
    enum status status = STATUS_OK;
    while (!ended && !status) {
        status = request->more(request, used, &ended, err);
        if (!status) status = take_part(lines, &used, ended, err);
        if (!status && !used && !ended && request->body.size >= line_max) {
            status = error_set(err, STATUS_TOO_LARGE, "line %zu has more than %zu bytes",
                               lines->first, line_max);
        }
    }
    return status;
}

enum status upsert_lines(struct upsert *upsert, struct error *err) {
    struct lines lines = {.upsert = upsert, .first = 1};
    struct writer *writer = upsert->writer;
    size_t images = upsert->api->options.images_max;
    enum status status = item_batch_init(&upsert->batch, &upsert->spec, UPSERT_BATCH, images, err);
    if (status) return status;
    lines.json = calloc(UPSERT_BATCH, sizeof(*lines.json));
    if (!lines.json) return error_set(err, STATUS_NO_MEMORY, "out of memory for lines");
    struct error error = ERROR_NONE;
    status = read_lines(&lines, &error);
    if (status && lines.first > 1) {
        status = error_set(err, status, "lines 1 to %zu are in, the others are not: %s",
                           lines.first - 1, error.message);
    } else if (status) {
        status = error_pass(err, &error);
    }
    forget(&lines);
    free(lines.json);
    if (status) return status;
    writer_begin_object(writer);
    writer_key(writer, "total");
    writer_begin_object(writer);
    upsert_write_result(writer, &upsert->total);
    upsert_write_count(writer, "failed", lines.failed);
    if (lines.truncated) upsert_write_count(writer, "truncated", lines.truncated);
    if (lines.unreported) upsert_write_count(writer, "batches_unreported", lines.unreported);
    writer_end_object(writer);
    end_line(writer);
    return STATUS_OK;
}
