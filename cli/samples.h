/* samples.h - what clipd quantize measures with: the first pictures below a folder, as the
 * model sees them, and captions that are built in. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include "core/engine.h"
#include "core/model/quality.h"

enum { SAMPLES_PICTURES_MAX = 4096, SAMPLES_CAPTIONS = 64 };

struct gathered {
    struct samples samples;
    size_t skipped; /* files that were no pictures */
    uint8_t *pixels;
    uint32_t *ids;
};

/* Takes at most `pictures_max` pictures from all folders below `directory`, in the order of
 * their names, and all captions if the model has a vocabulary. STATUS_UNPROCESSABLE when
 * there are fewer than two pictures: nothing can be centred then. Call samples_release() in
 * any case. */
enum status samples_gather(struct gathered *out, const struct model_info *info,
                           const struct engine_options *options, const char *directory,
                           size_t pictures_max, struct error *err);
void samples_release(struct gathered *gathered);

#endif
