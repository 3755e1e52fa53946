/* checkpoint.h - the files that a checkpoint consists of (SPEC 7.4). */
#ifndef CORE_CHECKPOINT_CHECKPOINT_H
#define CORE_CHECKPOINT_CHECKPOINT_H

#include "core/checkpoint/config.h"
#include "core/weights/weights.h"

struct checkpoint {
    struct weights weights;
    struct model_config config;         /* config.found is false for a weight file alone */
    uint8_t config_digest[SHA256_SIZE]; /* of the configuration files read */
};

/* `path` is a weight file or the index of several, or a directory: there the weights are the
 * first of the names that open_clip and transformers give them, or else the only file of
 * weights, and the configuration that goes with them is beside them. On success the caller
 * weights_close()s the weights. */
enum status checkpoint_read(struct checkpoint *out, const char *path, struct error *err);

#endif
