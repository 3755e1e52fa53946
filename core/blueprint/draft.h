/* draft.h - taking tensors out of a checkpoint, one by one, while a blueprint is drawn.
 *
 * What every tower needs, whatever it is made of: each function names what it wants, has the
 * shape checked and counts the parameters. Where a file says how many of something there
 * are, a 0 goes in and what was found comes out. */
#ifndef CORE_BLUEPRINT_DRAFT_H
#define CORE_BLUEPRINT_DRAFT_H

#include "core/blueprint/blueprint.h"
#include "core/blueprint/names.h"

enum { DRAFT_NAME_SIZE = 128 };

struct draft {
    struct tensors *tensors;
    struct names names;
    const struct model_config *config;
    struct model_info *info;
    bool has_vision, has_text; /* towers that are to be drawn */
    bool pruned;               /* the file tells of TinyCLIP's pruning */
};

/* A number that the configuration states must be what the weights have. */
enum status draft_check_stated(const char *what, uint32_t stated, size_t found, struct error *err);

enum status draft_take_vector(struct draft *draft, const char *name, size_t width,
                              struct source *out, struct error *err);
enum status draft_take_matrix(struct draft *draft, const char *name, size_t dims[2],
                              struct source *out, struct error *err);
/* A matrix that stands below as many dimensions of 1 as the file has. */
enum status draft_take_table(struct draft *draft, const char *name, size_t dims[2],
                             struct source *out, struct error *err);
/* "<prefix><layer>.weight" and ".bias", as all that follow. */
enum status draft_take_norm(struct draft *draft, const char *prefix, const char *layer,
                            size_t width, struct blueprint_norm *out, struct error *err);
/* Adds a part to a product; *n 0: as many rows as found. `bias` is NULL where there is none. */
enum status draft_take_part(struct draft *draft, const char *weight, const char *bias, size_t *n,
                            size_t k, struct blueprint_linear *out, struct error *err);
/* Without a bias. */
enum status draft_take_product(struct draft *draft, const char *prefix, const char *layer,
                               size_t *n, size_t k, struct blueprint_linear *out,
                               struct error *err);
enum status draft_take_linear(struct draft *draft, const char *prefix, const char *layer, size_t *n,
                              size_t k, struct blueprint_linear *out, struct error *err);

/* How many there are one after the other, "<prefix>0.", "<prefix>1." ..., at most `limit`. */
uint32_t draft_count(const struct draft *draft, const char *prefix, uint32_t limit);

/* All of a source as f32; NULL without memory. The caller frees it. */
float *draft_read_all(const struct source *source, struct error *err);

#endif
