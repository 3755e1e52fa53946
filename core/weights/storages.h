/* storages.h - the arrays behind PyTorch's tensors. A pickle names them by key, type and
 * length; their bytes are entries of the archive, or follow the pickles of the older form
 * (SPEC 7.2). */
#ifndef CORE_WEIGHTS_STORAGES_H
#define CORE_WEIGHTS_STORAGES_H

#include "core/weights/pickle.h"
#include "core/weights/tensors.h"
#include "core/weights/zip.h"

struct storage {
    struct bytes key;
    struct bytes type_name; /* "HalfStorage" */
    bool typed;             /* false: a type that we do not have, or none (UntypedStorage) */
    enum tensor_type type;
    size_t element;    /* bytes of an element; 0: of a type that we do not have */
    size_t count;      /* elements that the pickle states */
    bool found;        /* there is data at all */
    struct bytes data; /* what there is of it */
};

struct storages {
    struct storage *list; /* [count], sorted by key */
    size_t count;
};

/* Every storage that the pickle names; borrows the pickle's file. */
enum status storages_collect(struct storages *out, const struct pickle *pickle, struct error *err);
void storages_free(struct storages *storages);

/* Finds the data: the entry "<root>data/<key>" of the archive for each ... */
enum status storages_place_entries(struct storages *storages, const struct zip *zip,
                                   struct bytes root, struct error *err);
/* ... or one behind the other in the order of a pickled list of keys, as far as the file
 * goes. */
enum status storages_place_sequence(struct storages *storages, const struct pickle *keys,
                                    struct bytes file, struct error *err);

/* The storage of a PICKLE_PERSISTENT; NULL if `value` is none. */
const struct storage *storages_find(const struct storages *storages, const struct pickle *pickle,
                                    uint32_t value);

#endif
