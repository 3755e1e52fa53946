/* clipd preprocess: a window into the preprocessing, for comparing it with others. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/model_path.h"
#include "core/base/file.h"
#include "core/image/png.h"
#include "core/kernels/isa.h"
#include "core/recipe.h"

enum { SIZE_DEFAULT = 224, SIZE_LIMIT = 4096, FILE_SIZE_MAX = 256 << 20 };

static const char usage[] =
    "usage: clipd preprocess [OPTION]... IMAGE -o OUT.png\n\n"
    "Writes the image that a model sees: resized and cropped, before it is normalised.\n"
    "IMAGE - is standard input, OUT.png - standard output.\n\n"
    "  --model DIR        as this checkpoint wants it; without: --size 224\n"
    "                     --resize shortest --order openai, bicubic\n"
    "  --size N           side of the result in pixels\n"
    "  --resize HOW       shortest (side to N, then cropped), squash, or longest (side to N,\n"
    "                     then padded)\n"
    "  --order ORDER      openai (RGB after the resize) or hf (RGB before it)\n"
    "  --exif-orientation turn photographs upright first\n"
    "  --fast             decode large JPEGs at a fraction of their size, not exactly\n"
    "  -o, --output FILE  where to write\n"
    "  --help             print this\n";

struct arguments {
    const char *model, *image, *output;
    uint32_t size;     /* 0: not given */
    int resize, order; /* -1: not given */
    bool exif_orientation, fast;
    unsigned features; /* core/kernels/isa.h */
};

static const char *const resize_names[] = {"shortest", "squash", "longest", NULL};
static const char *const order_names[] = {"openai", "hf", NULL};

/* The index of `name`, or -1. */
static int find_name(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], name)) return i;
    }
    return -1;
}

/* What the checkpoint wants, overruled by what was asked for. */
static enum status make_preprocess(struct preprocess *out, const struct arguments *arguments,
                                   struct error *err) {
    enum status status = STATUS_OK;
    *out = (struct preprocess){
        .size = SIZE_DEFAULT,
        .resize = PREPROCESS_SHORTEST,
        .order = PREPROCESS_OPENAI,
        .filter = RESAMPLE_BICUBIC,
    };
    if (arguments->model) {
        struct model_info info;
        char *path = NULL;
        status = model_path_resolve(&path, arguments->model, err);
        if (status == STATUS_OK) status = model_describe(&info, path, err);
        free(path);
        if (status == STATUS_OK) status = recipe_preprocess(out, &info, err);
    }
    if (arguments->size) {
        out->size = arguments->size;
        out->resize_to = 0;
    }
    if (arguments->resize >= 0) out->resize = (enum preprocess_resize)arguments->resize;
    if (arguments->order >= 0) out->order = (enum preprocess_order)arguments->order;
    out->features = arguments->features;
    return status;
}

static enum status read_image(struct image *out, const struct arguments *arguments,
                              const struct preprocess *preprocess, struct error *err) {
    struct buffer file;
    struct image_options options = {
        .limits = image_limits_default,
        .exif_orientation = arguments->exif_orientation,
        .reduce_to = arguments->fast ? preprocess_reduce_to(preprocess) : 0,
    };
    buffer_init(&file, FILE_SIZE_MAX);
    enum status status = file_read(&file, arguments->image, err);
    if (status == STATUS_OK) status = image_decode(out, buffer_view(&file), &options, err);
    buffer_free(&file);
    return status;
}

static int write_file(const char *path, struct bytes data) {
    if (!strcmp(path, "-")) return console_write(data);
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(data.data, 1, data.size, file) == data.size;
    if (file && fclose(file)) good = false;
    if (good) return EX_OK;
    fputs("clipd: cannot write ", stderr);
    perror(path);
    return file ? EX_IOERR : EX_CANTCREAT;
}

static int run(const struct arguments *arguments) {
    struct error err = ERROR_NONE;
    struct preprocess preprocess;
    struct image image = {.pixels = NULL};
    struct buffer png;
    uint8_t *pixels = NULL;
    buffer_init(&png, SIZE_MAX);
    enum status status = make_preprocess(&preprocess, arguments, &err);
    if (status == STATUS_OK) status = read_image(&image, arguments, &preprocess, &err);
    if (status == STATUS_OK) {
        pixels = malloc((size_t)preprocess.size * preprocess.size * 3);
        status = pixels ? preprocess_image(pixels, &preprocess, &image, &err)
                        : error_set(&err, STATUS_NO_MEMORY, "out of memory");
        image_free(&image);
    }
    if (status == STATUS_OK)
        status = png_encode(&png, pixels, preprocess.size, preprocess.size, &err);
    int code = status == STATUS_OK ? write_file(arguments->output, buffer_view(&png))
                                   : console_fail_at(arguments->image, &err);
    buffer_free(&png);
    free(pixels);
    return code;
}

/* EX_OK, or the exit code after a complaint; -1 after --help. */
static int read_options(struct arguments *arguments, int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"size", required_argument, NULL, 's'},
        {"resize", required_argument, NULL, 'r'},
        {"order", required_argument, NULL, 'd'},
        {"exif-orientation", no_argument, NULL, 'e'},
        {"fast", no_argument, NULL, 'f'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    unsigned long size;
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "m:o:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': arguments->model = optarg; break;
        case 's':
            size = strtoul(optarg, &end, 10);
            if (*end || *optarg == '-' || size < 1 || size > SIZE_LIMIT)
                return console_usage("preprocess", "--size: found '%s', expected 1 to %d", optarg,
                                     SIZE_LIMIT);
            arguments->size = (uint32_t)size;
            break;
        case 'r':
            arguments->resize = find_name(resize_names, optarg);
            if (arguments->resize < 0)
                return console_usage("preprocess",
                                     "--resize: found '%s', expected shortest, "
                                     "squash or longest",
                                     optarg);
            break;
        case 'd':
            arguments->order = find_name(order_names, optarg);
            if (arguments->order < 0)
                return console_usage("preprocess", "--order: found '%s', expected openai or hf",
                                     optarg);
            break;
        case 'e': arguments->exif_orientation = true; break;
        case 'f': arguments->fast = true; break;
        case 'o': arguments->output = optarg; break;
        case 'h': fputs(usage, stdout); return -1;
        default: return console_usage_hint("preprocess");
        }
    }
    if (argc - optind != 1)
        return console_usage("preprocess", "found %d images, expected one", argc - optind);
    if (!*arguments->output) return console_usage("preprocess", "expected -o OUT.png");
    arguments->image = argv[optind];
    return EX_OK;
}

int preprocess_command(int argc, char **argv) {
    struct arguments arguments = {.output = "", .resize = -1, .order = -1};
    struct error err = ERROR_NONE;
    int code = read_options(&arguments, argc, argv);
    if (code == -1) return EX_OK;
    if (code != EX_OK) return code;
    arguments.features = isa_detect();
    if (isa_cap(&arguments.features, getenv("CLIPD_CPU"), &err) == STATUS_OK)
        return run(&arguments);
    console_fail_at("CLIPD_CPU", &err);
    return EX_CONFIG;
}
