/* window_pack.h - the weights of window.h, out of a blueprint. */
#ifndef CORE_PACK_WINDOW_PACK_H
#define CORE_PACK_WINDOW_PACK_H

#include "core/pack/pack.h"

/* Where `to` points must be in a block that is writable. */
enum status window_pack(const struct window *to, const struct blueprint_branches *from,
                        struct error *err);

#endif
