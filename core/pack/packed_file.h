/* packed_file.h - packed weights as a file that is mapped: shared between processes,
 * ready at once, gone from memory when it is short.
 *
 * A file is a header and the block of towers.h. Its name has two parts: a digest of what is
 * packed (the checkpoint's path, the options, the formats of the kernels), and one of
 * the state that this was in (the weight file's inode, size and time, the
 * configuration). So a changed checkpoint or another CPU never finds a wrong file, and a
 * new file takes the place of those of the same first part, which are stale. What is
 * found is checked against its name and its checksum; a damaged one is made again.
 *
 * Files are written under another name, ".packing-...", and renamed when complete. The
 * writer holds a lock, by which the next one tells who was killed before that. */
#ifndef CORE_PACK_PACKED_FILE_H
#define CORE_PACK_PACKED_FILE_H

#include "core/base/file.h"
#include "core/checkpoint/info.h"
#include "core/towers/plan.h"

struct packed_key {
    char name[64]; /* "<what>-<state>.clipd" */
};

struct packed_key packed_key_make(const char *what, const char *state);

/* A block that can be used. */
struct packed {
    struct file_map map; /* empty: the block is memory of our own */
    uint8_t *memory;
    struct bytes block;
};

/* Maps the file of that name; false if there is none, it is damaged, or others than we
 * and root may have written it. Fills what the header holds. */
bool packed_open(struct packed *out, const char *directory, const struct packed_key *key,
                 struct model_info *info, struct plan *plan);

/* A file that is being written. */
struct packed_draft;

/* Reserves the space on disk; the block is then at packed_draft_block(). Removes what
 * writers left behind that were killed. */
enum status packed_draft_create(struct packed_draft **out, const char *directory,
                                const struct packed_key *key, size_t block_bytes,
                                struct error *err);
uint8_t *packed_draft_block(struct packed_draft *draft);
/* Completes the file, gives it its name and removes stale ones. The block stays where it
 * is and becomes that of `out`; so it does when the file cannot be named, and then lives
 * as long as `out`. */
enum status packed_draft_finish(struct packed_draft *draft, struct packed *out,
                                const struct model_info *info, const struct plan *plan,
                                struct error *err);
/* Ends the draft; what was not finished leaves nothing behind. NULL is allowed. */
void packed_draft_destroy(struct packed_draft *draft);

/* Without a file: a block of zeros in memory, in huge pages where there are any. */
enum status packed_allocate(struct packed *out, size_t bytes, struct error *err);
void packed_close(struct packed *packed);

#endif
