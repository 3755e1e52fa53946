/* graph_file.h - keeps an approximate index between starts. A cache: whatever is wrong with
 * the file, the index is built anew.
 *
 * A file is written beside its place and renamed into it when it is whole, so that a crash
 * leaves the old one or the new one. Its bytes are read into the index's own memory and
 * held against their checksum there, before anything follows a link; hnsw.h checks the
 * links, too. Whether it holds the rows of the store is the caller's to find out. */
#ifndef CORE_INDEX_GRAPH_FILE_H
#define CORE_INDEX_GRAPH_FILE_H

#include "core/index/hnsw.h"

/* NULL when there is no usable file; *found says whether there was one at all. */
struct hnsw *graph_file_read(const char *path, const struct hnsw_options *options,
                             enum scan_precision precision, bool *found);

/* STATUS_CONFLICT when another process is writing it at this moment. */
enum status graph_file_write(const char *path, const struct hnsw *hnsw,
                             const struct hnsw_options *options, enum scan_precision precision,
                             struct error *err);

#endif
