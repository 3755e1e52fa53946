#include "core/towers/maps.h"

#include <string.h>

#include "core/base/bytes.h"

/* ---- memory ---- */

static void most(size_t *size, size_t needed) {
    if (needed > *size) *size = needed;
}

bool maps_follow(struct map_sizes *sizes, size_t *map, const struct conv *conv,
                 const size_t from[2], size_t to[2]) {
    struct conv_scratch scratch;
    size_t pixels, bytes, stride = map_padded_stride(conv->product.weight.n);
    if (!conv_scratch_size(&scratch, conv, from[0], from[1])) return false;
    to[0] = conv_side(conv, from[0]);
    to[1] = conv_side(conv, from[1]);
    if (!size_multiply(&pixels, to[0], to[1])) return false;
    if (!size_multiply(&bytes, pixels, stride * sizeof(float))) return false;
    most(&sizes->scratch.strip, scratch.strip);
    most(&sizes->scratch.lines, scratch.lines);
    most(&sizes->scratch.rows, scratch.rows);
    most(map, bytes);
    return true;
}

/* ---- images ---- */

struct enter {
    const struct map_image *image;
    float *to;
};

static void enter_pixels(const struct enter *enter, size_t y) {
    size_t width = enter->image->info->image_width;
    const uint8_t *from = enter->image->input->pixels + y * width * 3;
    float *to = enter->to + y * width * 3;
    for (size_t x = 0; x < width; x++) {
        for (size_t c = 0; c < 3; c++) *to++ = enter->image->levels->value[c][*from++];
    }
}

/* A line of patches that are cut already. */
static void enter_patches(const struct enter *enter, size_t y) {
    size_t width = enter->image->info->image_width, side = enter->image->info->patch_size;
    size_t first = y / side * (width / side), area = side * side;
    for (size_t x = 0; x < width; x++) {
        const float *patch = enter->image->input->patches + (first + x / side) * 3 * area;
        const float *from = patch + y % side * side + x % side;
        for (size_t c = 0; c < 3; c++) enter->to[(y * width + x) * 3 + c] = from[c * area];
    }
}

/* Units are lines. */
static void enter_lines(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct enter *enter = context;
    for (size_t y = begin; y < end; y++) {
        if (enter->image->input->pixels)
            enter_pixels(enter, y);
        else
            enter_patches(enter, y);
    }
}

void maps_enter(const struct pass *pass, const struct map_image *image, float *to) {
    struct enter enter = {.image = image, .to = to};
    team_run(pass->team, image->info->image_size, enter_lines, &enter);
}

void maps_average(float *out, const struct map *map) {
    size_t pixels = map->height * map->width;
    float share = 1 / (float)pixels;
    memset(out, 0, map->channels * sizeof(*out));
    for (size_t i = 0; i < pixels; i++) {
        const float *from = map->data + i * map->stride;
        for (size_t c = 0; c < map->channels; c++) out[c] += from[c];
    }
    for (size_t c = 0; c < map->channels; c++) out[c] *= share;
}

/* ---- steps ---- */

void maps_normalize_lines(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct map_normalize *n = context;
    const struct map *from = n->from, *to = n->to;
    for (size_t i = begin * from->width; i < end * from->width; i++) {
        n->pass->rows->layer_norm(to->data + i * to->stride, from->data + i * from->stride,
                                  n->norm->gain, n->norm->bias, from->channels, n->epsilon);
    }
}

void maps_normalize(const struct map_normalize *step) {
    struct map_normalize copy = *step;
    team_run(step->pass->team, step->from->height, maps_normalize_lines, &copy);
}

void maps_trace(const struct pass *pass, const struct map *x, size_t layer, size_t width) {
    float *to = pass->trace + layer * width;
    memset(to, 0, width * sizeof(*to));
    maps_average(to, x);
}
