/* clipd models: the models that have a name, what is known of them, and what they would do
 * here. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "api/writer.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/machine.h"
#include "hub/catalogue.h"
#include "hub/settings.h"
#include "hub/snapshot.h"

enum { LIST_SIZE_MAX = 1 << 20, BYTES_F32 = 4 };

static const char usage[] =
    "usage: clipd models [OPTION]...\n\n"
    "Lists the models that have a name for 'clipd pull' and --model: a table on a terminal,\n"
    "else one JSON object a line. Accuracies are those that open_clip has published, zero-shot,\n"
    "in percent: ImageNet top-1, mean of 38 datasets, retrieval on Flickr30k and COCO. Operations\n"
    "are those of one image and one text. Images a second are an estimate for this machine, from\n"
    "what a small model reaches of its peak here and now.\n\n"
    "  --json      JSON also on a terminal\n"
    "  --no-speed  measure nothing\n"
    "  --help      print this\n";

struct listing_options {
    const struct hub_settings *settings;
    const struct machine_speed *speed; /* NULL: not measured */
    bool json;
};

/* 0 when it was not measured. */
static double estimate(const struct listing_options *options, const struct catalogue_entry *entry) {
    if (!options->speed) return 0;
    return machine_images_per_second(options->speed, entry->image_gflops * 1e9);
}

static void put_text(struct writer *writer, const char *key, const char *value) {
    writer_key(writer, key);
    if (value)
        writer_text(writer, value);
    else
        writer_null(writer);
}

static void put_number(struct writer *writer, const char *key, double value) {
    writer_key(writer, key);
    if (value > 0)
        writer_float(writer, (float)value);
    else
        writer_null(writer);
}

static enum status write_json(struct buffer *out, const struct listing_options *options,
                              const struct catalogue_entry *entry, const char *folder,
                              struct error *err) {
    struct writer writer;
    writer_init(&writer, out);
    writer_begin_object(&writer);
    put_text(&writer, "name", entry->name);
    put_text(&writer, "repository", entry->repository);
    put_text(&writer, "family", catalogue_family_name(entry->family));
    put_text(&writer, "folder", folder);
    put_number(&writer, "parameters_millions", entry->parameters_m);
    put_number(&writer, "gflops", entry->gflops);
    put_number(&writer, "image_gflops", entry->image_gflops);
    put_number(&writer, "imagenet", entry->imagenet);
    put_number(&writer, "average", entry->average);
    put_number(&writer, "flickr", entry->flickr);
    put_number(&writer, "coco", entry->coco);
    put_number(&writer, "images_per_second_estimated", estimate(options, entry));
    writer_end_object(&writer);
    writer_line(&writer);
    return writer_finish(&writer, err);
}

static enum status write_row(struct buffer *out, const struct listing_options *options,
                             const struct catalogue_entry *entry, const char *folder,
                             struct error *err) {
    char speed[32] = "-";
    double images = estimate(options, entry);
    if (images > 0) snprintf(speed, sizeof(speed), images < 10 ? "%.2f" : "%.0f", images);
    return buffer_printf(out, err, "%-47s %6.0f M %6.2f GB %7.1f %6.1f %6.1f %6.1f %6.1f %8s  %s\n",
                         entry->name, entry->parameters_m, entry->parameters_m * BYTES_F32 / 1000,
                         entry->gflops, entry->imagenet, entry->average, entry->flickr, entry->coco,
                         speed, folder ? "here" : "");
}

static enum status write_entry(struct buffer *out, const struct listing_options *options,
                               const struct catalogue_entry *entry, struct error *err) {
    struct repository repository;
    char *folder = NULL;
    repository_parse(&repository, entry->repository);
    if (snapshot_find(&folder, options->settings->cache, &repository, NULL)) folder = NULL;
    enum status status = options->json ? write_json(out, options, entry, folder, err)
                                       : write_row(out, options, entry, folder, err);
    free(folder);
    return status;
}

static enum status write_head(struct buffer *out, const struct listing_options *options,
                              struct error *err) {
    const struct machine_speed *speed = options->speed;
    enum status status = STATUS_OK;
    if (options->json) return STATUS_OK;
    if (speed)
        status = buffer_printf(out, err,
                               "%.0f GFLOP/s here, %.0f %% of the peak of %u threads in %s; "
                               "images/s are estimated from it\n\n",
                               speed->peak * speed->share / 1e9, speed->share * 100, speed->threads,
                               speed->precision);
    if (status) return status;
    return buffer_printf(out, err, "%-47s %8s %9s %7s %6s %6s %6s %6s %8s\n", "name", "params",
                         "in f32", "GFLOPs", "ImgNet", "38sets", "Flickr", "COCO", "images/s");
}

static int list(const struct listing_options *options) {
    struct error err = ERROR_NONE;
    struct buffer out;
    buffer_init(&out, LIST_SIZE_MAX);
    enum status status = write_head(&out, options, &err);
    for (size_t i = 0; i < catalogue_count && !status; i++)
        status = write_entry(&out, options, &catalogue[i], &err);
    int code = status ? console_fail(&err) : console_write(buffer_view(&out));
    buffer_free(&out);
    return code;
}

int models_command(int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"no-speed", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct hub_settings settings;
    struct machine_speed speed;
    struct listing_options chosen = {.settings = &settings, .json = !isatty(STDOUT_FILENO)};
    struct error err = ERROR_NONE;
    bool measure = true;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'j': chosen.json = true; break;
        case 'n': measure = false; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("models");
        }
    }
    if (optind < argc)
        return console_usage("models", "found '%s', expected options only", argv[optind]);
    if (measure && machine_measure(&speed, &err)) return console_fail(&err);
    if (measure) chosen.speed = &speed;
    if (settings_read(&settings, (const char *const *)environ, &err)) {
        console_fail(&err);
        return EX_CONFIG;
    }
    int code = list(&chosen);
    settings_free(&settings);
    return code;
}
