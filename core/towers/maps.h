/* maps.h - what image towers of convolutions share: the image as a map, the mean of a map, and
 * the memory that maps need. */
#ifndef CORE_TOWERS_MAPS_H
#define CORE_TOWERS_MAPS_H

#include "core/towers/conv.h"
#include "core/towers/vision.h"

/* Bytes that a pass needs for one image: of the largest map of the stream and of those within
 * blocks, and scratch memory. */
struct map_sizes {
    size_t stream, hidden;
    struct conv_scratch scratch;
};

/* Follows one convolution from a map with those sides to one with others: `map`, one of the
 * sizes, becomes as large as its result. False when it does not fit a size_t. */
bool maps_follow(struct map_sizes *sizes, size_t *map, const struct conv *conv,
                 const size_t from[2], size_t to[2]);

struct map_image {
    const struct model_info *info;
    const struct levels *levels;
    const struct vision_input *input;
};

/* to = the image, [image_size, image_width, 3], normalised. */
void maps_enter(const struct pass *pass, const struct map_image *image, float *to);

/* out[c] = the mean of all pixels. */
void maps_average(float *out, const struct map *map);

/* Every pixel through the LayerNorm. */
struct map_normalize {
    const struct pass *pass;
    const struct map *from, *to; /* may be the same */
    const struct norm *norm;
    float epsilon;
};
void maps_normalize(const struct map_normalize *step);
/* Some lines of it, as a step of a team. */
void maps_normalize_lines(void *context, size_t begin, size_t end, uint32_t member);

/* For measuring: the mean of the stream stands for it, behind it zeros where there are fewer
 * channels than at the end, `width`. */
void maps_trace(const struct pass *pass, const struct map *x, size_t layer, size_t width);

#endif
