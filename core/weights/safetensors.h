/* safetensors.h - the weight format of Hugging Face, read with every check that the
 * reference reader makes (SPEC 7.1). */
#ifndef CORE_WEIGHTS_SAFETENSORS_H
#define CORE_WEIGHTS_SAFETENSORS_H

#include "core/weights/tensors.h"

/* Parses a whole file. The tensors point into `file`, which must outlive them; free
 * them with tensors_free(). STATUS_UNPROCESSABLE for a damaged file,
 * STATUS_UNSUPPORTED for a data type we do not have. */
enum status safetensors_parse(struct tensors *out, struct bytes file, struct error *err);

#endif
