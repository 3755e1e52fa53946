/* state_dict.h - the named tensors in what PyTorch has pickled. */
#ifndef CORE_WEIGHTS_STATE_DICT_H
#define CORE_WEIGHTS_STATE_DICT_H

#include "core/weights/storages.h"

/* Finds the dictionary of tensors, or the modules, in the pickle's root and lists what they
 * hold. Tensors that are contiguous borrow the storages' data; of the others copies are made. In
 * a file of `file_size` bytes copies have as many at most, and all tensors together some times as
 * many: STATUS_TOO_LARGE when storages are shared by more than weights are ever tied. */
enum status state_dict_read(struct tensors *out, const struct pickle *pickle,
                            const struct storages *storages, size_t file_size, struct error *err);

/* Whether a pickled dictionary has {"little_endian": True}. */
bool state_dict_says_little_endian(const struct pickle *pickle);

#endif
