/* pytorch.h - the weights that torch.save() and TorchScript wrote, without PyTorch and
 * without running what a pickle asks for (SPEC 7.2).
 *
 * Both file forms: the zip archive and the older run of pickles. What is pickled may be a
 * dictionary of tensors, a training checkpoint that has one, or a module whose parameters
 * are collected. Everything else in it is passed over unseen. */
#ifndef CORE_WEIGHTS_PYTORCH_H
#define CORE_WEIGHTS_PYTORCH_H

#include "core/weights/tensors.h"

/* True when the file begins like one of the two forms. */
bool pytorch_sniff(struct bytes file);

/* Lists the tensors, whose data stays in `file` but for those that are not contiguous:
 * they are copied. tensors_free() releases the list. */
enum status pytorch_parse(struct tensors *out, struct bytes file, struct error *err);

#endif
