/* state_dict.h - the named tensors in what PyTorch has pickled. */
#ifndef CORE_MODEL_STATE_DICT_H
#define CORE_MODEL_STATE_DICT_H

#include "core/model/storages.h"

/* Finds the dictionary of tensors, or the modules, in the pickle's root and lists what they
 * hold. Tensors that are contiguous borrow the storages' data; of the others copies are made,
 * `copies_max` bytes of them at most. */
enum status state_dict_read(struct tensors *out, const struct pickle *pickle,
                            const struct storages *storages, size_t copies_max, struct error *err);

/* Whether a pickled dictionary has {"little_endian": True}. */
bool state_dict_says_little_endian(const struct pickle *pickle);

#endif
