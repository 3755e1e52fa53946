#include "cli/bench_report.h"

#include <sysexits.h>

#include "api/writer.h"
#include "cli/console.h"
#include "core/base/cpu.h"
#include "core/kernels/isa.h"

enum { LINE_SIZE_MAX = 1 << 14 };

/* The columns of the CSV form, whose names are those of the JSON form. */
static const char csv_head[] =
    "cpu,kernel,arch,tower,precision,batch,threads,mode,tokens,items_per_second,gflops,"
    "peak_gflops,peak_share,cpu_share,p50_ms,p99_ms,cosine_fp32\n";

void bench_report_init(struct bench_report *report, enum bench_format format) {
    report->format = format;
    cpu_model_name(report->cpu, sizeof(report->cpu));
    /* A name with a comma or a quote in it would break the CSV. */
    for (char *c = report->cpu; *c; c++) {
        if (*c == ',' || *c == '"') *c = ' ';
    }
}

static enum status write_head(const struct bench_report *report, unsigned features,
                              struct buffer *out, struct error *err) {
    if (report->format == BENCH_JSON) return STATUS_OK;
    if (report->format == BENCH_CSV) return buffer_printf(out, err, "%s", csv_head);
    return buffer_printf(
        out, err,
        "clipd %s, %s, %u cores, %s\n\n"
        "%-14s %-5s %-4s %-11s %6s %5s %7s %-10s %9s %8s %8s %6s %6s %8s %8s %9s\n",
        CLIPD_VERSION, report->cpu, cpu_usable_cores(), isa_name(features), "arch", "tower", "prec",
        "kernel", "tokens", "batch", "threads", "mode", "items/s", "GFLOP/s", "peak", "share",
        "in CPU", "p50 ms", "p99 ms", "cosine");
}

static enum status write_table_row(const struct bench_row *row, struct buffer *out,
                                   struct error *err) {
    enum status status = buffer_printf(
        out, err, "%-14s %-5s %-4s %-11s %6u %5u %7u %-10s %9.2f %8.1f", row->architecture,
        row->tower, row->precision, row->kernel, row->tokens, row->batch, row->threads, row->mode,
        row->speed.items_per_second, row->gflops);
    if (!status && row->peak_gflops > 0)
        status = buffer_printf(out, err, " %8.1f %5.1f%% %5.1f%%", row->peak_gflops,
                               row->gflops / row->peak_gflops * 100,
                               row->cpu_gflops / row->peak_gflops * 100);
    else if (!status)
        status = buffer_printf(out, err, " %8s %6s %6s", "-", "-", "-");
    if (status) return status;
    return buffer_printf(out, err, " %8.2f %8.2f %9.6f\n", row->speed.p50_ms, row->speed.p99_ms,
                         row->cosine_fp32);
}

static enum status write_csv_row(const struct bench_report *report, const struct bench_row *row,
                                 struct buffer *out, struct error *err) {
    enum status status =
        buffer_printf(out, err, "%s,%s,%s,%s,%s,%u,%u,%s,%u,%.4f,%.3f,", report->cpu, row->kernel,
                      row->architecture, row->tower, row->precision, row->batch, row->threads,
                      row->mode, row->tokens, row->speed.items_per_second, row->gflops);
    if (!status && row->peak_gflops > 0)
        status =
            buffer_printf(out, err, "%.3f,%.4f,", row->peak_gflops, row->gflops / row->peak_gflops);
    else if (!status)
        status = buffer_printf(out, err, ",,,");
    if (status) return status;
    return buffer_printf(out, err, "%.4f,%.4f,%.8f\n", row->speed.p50_ms, row->speed.p99_ms,
                         row->cosine_fp32);
}

static void put_text(struct writer *writer, const char *key, const char *value) {
    writer_key(writer, key);
    writer_text(writer, value);
}

static void put_uint(struct writer *writer, const char *key, uint32_t value) {
    writer_key(writer, key);
    writer_uint(writer, value);
}

static void put_float(struct writer *writer, const char *key, double value) {
    writer_key(writer, key);
    writer_float(writer, (float)value);
}

static void put_or_null(struct writer *writer, const char *key, double value, bool known) {
    writer_key(writer, key);
    if (known)
        writer_float(writer, (float)value);
    else
        writer_null(writer);
}

static enum status write_json_row(const struct bench_report *report, const struct bench_row *row,
                                  struct buffer *out, struct error *err) {
    struct writer writer;
    writer_init(&writer, out);
    writer_begin_object(&writer);
    put_text(&writer, "cpu", report->cpu);
    put_text(&writer, "kernel", row->kernel);
    put_text(&writer, "arch", row->architecture);
    put_text(&writer, "tower", row->tower);
    put_text(&writer, "precision", row->precision);
    put_uint(&writer, "batch", row->batch);
    put_uint(&writer, "threads", row->threads);
    put_text(&writer, "mode", row->mode);
    put_uint(&writer, "tokens", row->tokens);
    put_float(&writer, "items_per_second", row->speed.items_per_second);
    put_float(&writer, "gflops", row->gflops);
    bool known = row->peak_gflops > 0;
    put_or_null(&writer, "peak_gflops", row->peak_gflops, known);
    put_or_null(&writer, "peak_share", row->gflops / row->peak_gflops, known);
    put_or_null(&writer, "cpu_share", row->cpu_gflops / row->peak_gflops, known);
    put_float(&writer, "p50_ms", row->speed.p50_ms);
    put_float(&writer, "p99_ms", row->speed.p99_ms);
    put_float(&writer, "cosine_fp32", row->cosine_fp32);
    writer_end_object(&writer);
    enum status status = writer_finish(&writer, err);
    return status ? status : buffer_append(out, "\n", 1, err);
}

/* Prints the buffer and frees it; the exit code. */
static int finish(struct buffer *out, enum status status, const struct error *err) {
    int code = status ? console_fail(err) : console_write(buffer_view(out));
    buffer_free(out);
    return code;
}

int bench_report_begin(const struct bench_report *report, unsigned features) {
    struct error err = ERROR_NONE;
    struct buffer out;
    buffer_init(&out, LINE_SIZE_MAX);
    enum status status = write_head(report, features, &out, &err);
    return finish(&out, status, &err);
}

int bench_report_row(const struct bench_report *report, const struct bench_row *row) {
    struct error err = ERROR_NONE;
    struct buffer out;
    enum status status = STATUS_OK;
    buffer_init(&out, LINE_SIZE_MAX);
    switch (report->format) {
    case BENCH_TABLE: status = write_table_row(row, &out, &err); break;
    case BENCH_CSV: status = write_csv_row(report, row, &out, &err); break;
    case BENCH_JSON: status = write_json_row(report, row, &out, &err); break;
    }
    return finish(&out, status, &err);
}
