/* families.h - the families of models that load, and those that do not, in one list: what
 * is refused by its name is refused with the names of what there is. */
#ifndef CORE_CHECKPOINT_FAMILIES_H
#define CORE_CHECKPOINT_FAMILIES_H

#include "core/weights/tensors.h"

/* STATUS_UNSUPPORTED when tensors tell of a family that we know and do not have. */
enum status families_check(const struct tensors *tensors, struct error *err);

/* Reports STATUS_UNSUPPORTED: "WHERE: WHAT is not supported; supported are ...". */
enum status families_refuse(struct error *err, const char *where, const char *what);

#endif
