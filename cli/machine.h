/* machine.h - how fast models would be on this machine, from a second of measuring. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stdint.h>

#include "core/base/error.h"

struct machine_speed {
    const char *precision; /* what models run in by default */
    uint32_t threads;      /* one for each usable core */
    double peak;           /* operations a second that they could do */
    double share;          /* of it that a model reaches, in CPU time */
};

/* Runs the image tower of a small model on random weights. */
enum status machine_measure(struct machine_speed *out, struct error *err);

/* Images a second of a model that takes so many operations for one: an estimate, of a larger
 * model usually too low. */
double machine_images_per_second(const struct machine_speed *speed, double operations);

#endif
