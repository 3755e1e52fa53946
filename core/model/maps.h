/* maps.h - what image towers of convolutions share: the image as a map, the mean of a map, and
 * the memory that maps need. */
#ifndef CORE_MODEL_MAPS_H
#define CORE_MODEL_MAPS_H

#include "core/model/conv.h"
#include "core/model/vision.h"

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

#endif
