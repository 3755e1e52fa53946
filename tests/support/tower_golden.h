/* tower_golden.h - image towers of convolutions against their goldens: one picture, of which
 * two corners are pictures of their own, and what models of random weights answer to them. */
#ifndef TESTS_SUPPORT_TOWER_GOLDEN_H
#define TESTS_SUPPORT_TOWER_GOLDEN_H

#include "core/model/model.h"

enum { TOWER_NATIVE = 64, TOWER_LARGE = 96, TOWER_DIM = 12, TOWER_IMAGES = 2 };

struct tower_pictures {
    uint8_t large[TOWER_LARGE * TOWER_LARGE * 3];
    uint8_t native[TOWER_IMAGES][TOWER_NATIVE * TOWER_NATIVE * 3];
};

/* These end the program where something is not as it should be. */
void tower_pictures_read(struct tower_pictures *out);

/* By default with all instruction sets, in fp32, with one worker. */
struct model *tower_open(const char *path, const struct model_options *more);

/* Held against the rows of the file; `least` 0: the numbers themselves must be those, else the
 * cosines. */
void tower_check(const struct model *model, const uint8_t *const *pixels, uint32_t count,
                 const char *expected, double least);

/* The corners in every precision and by every set of kernels; `least` is that of int8. */
void tower_check_precisions(const char *path, const char *expected, double least);

/* The profile may leave any of the image tower's `products` out of int8, and what it measured
 * holds. */
void tower_check_calibrated(const char *path, size_t products);

/* More images than go through in one pass, each as if it were alone, bit for bit. */
void tower_check_batches(const char *path);

/* A mapped file of packed weights answers as the checkpoint did, and still `holds` what only its
 * names told: to a corner, and to `text` unless it is NULL. */
void tower_check_packed(const char *path, bool (*holds)(const struct model_info *info),
                        const struct model_text *text);

/* Which place in a plan that number has: "layer 3 qkv", "patch", "projection". */
void tower_name_product(char out[32], const struct model_info *info, enum plan_tower tower,
                        size_t index);

#endif
