/* clipd quantize: finds out which layers of a model bear int8, says how near to fp32 that
 * leaves it, and writes a profile that the configuration names. The file appears whole or
 * not at all. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/model_path.h"
#include "cli/samples.h"
#include "cli/session.h"
#include "core/model/calibrate.h"

enum { PICTURES_DEFAULT = 64, BAR_WIDTH = 40, TABLE_SIZE_MAX = 1 << 20, PATH_SIZE = 4096 };
static const double target_default = 0.999;

static const char usage[] =
    "usage: clipd quantize --model DIR --images DIR -o FILE [OPTION]...\n\n"
    "Finds out which layers of a model bear int8, and writes a profile for the key `profile`\n"
    "of the configuration. Prints the cosine to fp32 of the residual stream after each layer\n"
    "and of the embeddings, the smallest and the mean of all pictures and captions; `centred`\n"
    "is after what they have in common, their mean, is taken off.\n\n"
    "  --model DIR        directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE      configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --images DIR       pictures such as the model will see, also in folders below\n"
    "  --images-max N     use the first N of them; 64 by default\n"
    "  --target C         the smallest cosine to reach, 0.999 by default\n"
    "  -o, --output FILE  where to write\n"
    "  --help             print this\n";

struct arguments {
    struct session_options session;
    const char *images, *output;
    size_t images_max;
    double target;
};

/* ---- what people see ---- */

/* A bar on a terminal, nothing elsewhere. */
static void show_progress(void *context, size_t done, size_t total) {
    (void)context;
    if (!isatty(STDERR_FILENO)) return;
    int filled = (int)(done * BAR_WIDTH / total);
    fprintf(stderr, "\r[%.*s%*s] %zu of %zu", filled, "########################################",
            BAR_WIDTH - filled, "", done, total);
}

static void clear_progress(void) {
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

static const char *precision_name(uint8_t precision) {
    return model_precision_name((enum model_precision)precision);
}

static void print_cosines(struct buffer *out, const struct model_cosines *cosines) {
    buffer_printf(out, NULL, "  %.6f  %.6f  %.6f  %.6f\n", cosines->min, cosines->mean,
                  cosines->centred_min, cosines->centred_mean);
}

/* The buffer's limit is far above what a table needs. */
static void print_tower(struct buffer *out, const struct profile *profile, enum plan_tower which,
                        const char *name) {
    const struct profile_tower *tower = &profile->towers[which];
    if (!tower->layers) return;
    buffer_printf(out, NULL, "%-6s  layer  qkv   out   fc    proj  %8s  %8s  %8s  %8s\n", name,
                  "min", "mean", "centred", "mean");
    if (which == PLAN_VISION)
        buffer_printf(out, NULL, "%-6s  patch  %s\n", "", precision_name(profile->plan.patch));
    for (uint32_t i = 0; i < tower->layers; i++) {
        const uint8_t *plan = profile->plan.layers[which][i];
        buffer_printf(out, NULL, "%-6s  %5u  %s  %s  %s  %s", "", i + 1,
                      precision_name(plan[PLAN_QKV]), precision_name(plan[PLAN_OUT]),
                      precision_name(plan[PLAN_FC]), precision_name(plan[PLAN_PROJ]));
        print_cosines(out, &tower->residual[i]);
    }
    const char *projection =
        tower->projected ? precision_name(profile->plan.projection[which]) : "";
    buffer_printf(out, NULL, "%-6s  embedding: projection %4s   ", "", projection);
    print_cosines(out, &tower->total);
}

static int print_table(const struct profile *profile, const struct gathered *gathered) {
    struct buffer out;
    struct model_cosines total = profile_cosines(profile);
    buffer_init(&out, TABLE_SIZE_MAX);
    buffer_printf(&out, NULL, "%u pictures (%zu other files), %u texts, kernel %s\n",
                  profile->towers[PLAN_VISION].inputs, gathered->skipped,
                  profile->towers[PLAN_TEXT].inputs, profile->kernel);
    print_tower(&out, profile, PLAN_VISION, "vision");
    print_tower(&out, profile, PLAN_TEXT, "text");
    buffer_printf(&out, NULL, "total   %29s", "");
    print_cosines(&out, &total);
    int code = console_write(buffer_view(&out));
    buffer_free(&out);
    return code;
}

/* ---- the file ---- */

static int complain(const char *action, const char *path, int code) {
    fprintf(stderr, "clipd: cannot %s %s: %s\n", action, path, strerror(errno));
    return code;
}

/* Writes, and closes `fd`. */
static bool fill(int fd, struct bytes text) {
    FILE *file = fdopen(fd, "wb");
    if (!file) {
        close(fd);
        return false;
    }
    bool good = text.data && fwrite(text.data, 1, text.size, file) == text.size && !fflush(file);
    if (good && fsync(fd) && errno != EINVAL && errno != EROFS) good = false; /* no pipe has it */
    return !fclose(file) && good;
}

/* A pipe or a device must not be replaced by a file. */
static int write_special(const char *path, struct bytes text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return complain("create", path, EX_CANTCREAT);
    return fill(fd, text) ? EX_OK : complain("write", path, EX_IOERR);
}

/* Under another name first, so that nobody ever reads a part. */
static int write_profile(const char *path, struct bytes text) {
    char temporary[PATH_SIZE];
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) return write_special(path, text);
    int size = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (size >= PATH_SIZE) {
        errno = ENAMETOOLONG;
        return complain("create", path, EX_CANTCREAT);
    }
    int fd = mkstemp(temporary);
    if (fd < 0) return complain("create", path, EX_CANTCREAT);
    mode_t mask = umask(0);
    umask(mask);
    bool good = !fchmod(fd, 0666 & ~mask);
    good = fill(fd, text) && good;
    if (good && !rename(temporary, path)) return EX_OK;
    int code = complain("write", path, EX_IOERR);
    unlink(temporary);
    return code;
}

static int finish(const struct arguments *arguments, const struct profile *profile,
                  const struct gathered *gathered) {
    struct buffer text;
    struct error err = ERROR_NONE;
    buffer_init(&text, PROFILE_SIZE_MAX);
    int code = profile_print(profile, &text, &err) == STATUS_OK
                   ? write_profile(arguments->output, buffer_view(&text))
                   : console_fail(&err);
    buffer_free(&text);
    return code == EX_OK ? print_table(profile, gathered) : code;
}

/* ---- the command ---- */

static int calibrate(const struct arguments *arguments, const struct engine_options *model,
                     const struct runtime *runtime) {
    struct calibrate_options options = {
        .model = {.path = model->path,
                  .image_size = model->image_size,
                  .activation = model->activation,
                  .head_width = model->head_width,
                  .features = runtime_features(runtime),
                  .workers = runtime_options(runtime)->threads},
        .target = arguments->target,
        .progress = show_progress,
    };
    struct error err = ERROR_NONE;
    struct calibration *calibration = NULL;
    struct gathered gathered = {.skipped = 0};
    struct profile *profile = malloc(sizeof(*profile));
    if (!profile) {
        error_set(&err, STATUS_NO_MEMORY, "out of memory");
        return console_fail(&err);
    }
    enum status status = calibration_open(&calibration, &options, &err);
    if (status == STATUS_OK)
        status = samples_gather(&gathered, calibration_info(calibration), model, arguments->images,
                                arguments->images_max, &err);
    if (status == STATUS_OK)
        status = calibration_run(profile, calibration, &gathered.samples, &err);
    clear_progress();
    int code = status == STATUS_OK ? finish(arguments, profile, &gathered) : console_fail(&err);
    samples_release(&gathered);
    calibration_close(calibration);
    free(profile);
    return code;
}

static int run(const struct arguments *arguments) {
    struct config config;
    struct error err = ERROR_NONE;
    struct runtime *runtime = NULL;
    assert(arguments->images && arguments->output);
    int code = session_load(&config, &arguments->session);
    if (code != EX_OK) return code;
    const struct engine_options *model = session_default_model(&config);
    if (!model) code = EX_USAGE;
    if (code == EX_OK && model_path_check(model->path, &err))
        code = console_fail_at(model->path, &err);
    if (code == EX_OK && runtime_create(&runtime, &config.runtime, &err) != STATUS_OK)
        code = console_fail(&err);
    if (code == EX_OK) code = calibrate(arguments, model, runtime);
    runtime_destroy(runtime);
    config_free(&config);
    return code;
}

/* EX_OK, or the exit code after a complaint; -1 after --help. */
static int read_options(struct arguments *arguments, int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},  {"config", required_argument, NULL, 'c'},
        {"images", required_argument, NULL, 'i'}, {"images-max", required_argument, NULL, 'n'},
        {"target", required_argument, NULL, 't'}, {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "m:o:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': arguments->session.model = optarg; break;
        case 'c': arguments->session.config = optarg; break;
        case 'i': arguments->images = optarg; break;
        case 'o': arguments->output = optarg; break;
        case 'n':
            arguments->images_max = strtoul(optarg, &end, 10);
            if (*end || *optarg == '-' || arguments->images_max < 2 ||
                arguments->images_max > SAMPLES_PICTURES_MAX)
                return console_usage("quantize", "--images-max: found '%s', expected 2 to %d",
                                     optarg, SAMPLES_PICTURES_MAX);
            break;
        case 't':
            arguments->target = strtod(optarg, &end);
            if (*end || end == optarg || !(arguments->target > 0 && arguments->target < 1))
                return console_usage(
                    "quantize", "--target: found '%s', expected a number between 0 and 1", optarg);
            break;
        case 'h': fputs(usage, stdout); return -1;
        default: return console_usage_hint("quantize");
        }
    }
    if (optind < argc)
        return console_usage("quantize", "found '%s', expected options only", argv[optind]);
    if (!arguments->images) return console_usage("quantize", "expected --images DIR");
    if (!arguments->output) return console_usage("quantize", "expected -o FILE");
    return EX_OK;
}

int quantize_command(int argc, char **argv) {
    struct arguments arguments = {.images_max = PICTURES_DEFAULT, .target = target_default};
    int code = read_options(&arguments, argc, argv);
    if (code == EX_OK) code = run(&arguments);
    return code == -1 ? EX_OK : code;
}
