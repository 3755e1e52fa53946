/* draft_branches.h - taking convolutions side by side, as they were trained, or the one that they
 * have become (SPEC 4.6): what FastViTs and MobileCLIP-S0's texts are made of.
 *
 * Those who follow each other call them differently: struct branch_names. */
#ifndef CORE_BLUEPRINT_DRAFT_BRANCHES_H
#define CORE_BLUEPRINT_DRAFT_BRANCHES_H

#include "core/blueprint/draft.h"

/* True when there is a tensor whose name begins with "<prefix><name>". */
bool draft_has(const struct draft *draft, const char *prefix, const char *name);

/* A convolution "<prefix><layer>.conv" with its BatchNorm "<prefix><layer>.bn", one more branch. */
enum status draft_take_branch(struct draft *draft, const char *prefix, const char *layer,
                              const size_t dims[4], struct blueprint_branches *out,
                              struct error *err);

/* What is one convolution with a bias. */
enum status draft_take_single(struct draft *draft, const char *prefix, const char *layer,
                              const size_t dims[4], struct blueprint_branches *out,
                              struct error *err);

/* A MobileOne block: a window, what scales, and the way around, as far as they are there. */
enum status draft_take_branches(struct draft *draft, const struct branch_names *names,
                                const char *prefix, const size_t dims[4],
                                struct blueprint_branches *out, struct error *err);

/* A RepMixer: x + gamma * (block(x) - norm(x)). */
enum status draft_take_mixer(struct draft *draft, const struct branch_names *names,
                             const char *prefix, const size_t dims[4],
                             struct blueprint_branches *out, struct error *err);

/* LayerScale, [n, 1, 1], as a row. */
enum status draft_take_gamma(struct draft *draft, const struct branch_names *names,
                             const char *prefix, const char *layer, size_t n, struct source *out,
                             struct error *err);

/* The product "<prefix><layer>" of convolutions of one pixel, [*n, k, 1, 1]; *n 0: as found. */
enum status draft_take_pixels(struct draft *draft, const char *prefix, const char *layer, size_t *n,
                              size_t k, struct blueprint_linear *out, struct error *err);

#endif
